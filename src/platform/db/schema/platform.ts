/** Tables of the Postgres drivers of bus and ephemera (storage-and-operations §3.5, §7.5). */
import { sql } from 'drizzle-orm'
import { bigint, index, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import { jsonb, timestamptz, xid8 } from './columns.ts'

export const busEvent = pgTable(
  'bus_event',
  {
    seq: bigint('seq', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    /**
     * Readers go by (xid, seq) and stop below the oldest running transaction: identity values
     * become visible out of order, and a lower seq may commit under a higher xid.
     */
    xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
    stream: text('stream').notNull(),
    payload: jsonb('payload').notNull(),
    at: timestamptz('at').notNull().defaultNow(),
  },
  (t) => [index('bus_event_stream_xid_seq_idx').on(t.stream, t.xid, t.seq)],
)

export const busCursor = pgTable(
  'bus_cursor',
  {
    stream: text('stream').notNull(),
    grp: text('grp').notNull(),
    xid: xid8('xid').notNull().default('0'),
    seq: bigint('seq', { mode: 'bigint' }).notNull(),
  },
  (t) => [primaryKey({ name: 'bus_cursor_pkey', columns: [t.stream, t.grp] })],
)

export const busDelivery = pgTable(
  'bus_delivery',
  {
    grp: text('grp').notNull(),
    seq: bigint('seq', { mode: 'bigint' }).notNull(),
    stream: text('stream').notNull(),
    consumer: text('consumer'),
    lockedUntil: timestamptz('locked_until'),
    deliveries: integer('deliveries').notNull().default(0),
  },
  (t) => [
    primaryKey({ name: 'bus_delivery_pkey', columns: [t.grp, t.seq] }),
    index('bus_delivery_grp_stream_locked_until_idx').on(t.grp, t.stream, t.lockedUntil),
  ],
)

/** Unlogged by migration: losing it is allowed and noticed (storage-and-operations §7.4). */
export const ephemera = pgTable(
  'ephemera',
  {
    key: text('key').primaryKey(),
    value: text('value'),
    counter: bigint('counter', { mode: 'number' }).notNull().default(0),
    expiresAt: timestamptz('expires_at'),
  },
  (t) => [index('ephemera_expires_at_idx').on(t.expiresAt)],
)
