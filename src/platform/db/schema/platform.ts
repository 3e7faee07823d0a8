/** Tables of the Postgres drivers of bus and ephemera, and the outbox (storage-and-operations §3.5, §7.5). */
import { bigint, check, index, integer, pgTable, primaryKey, sql, text, unique } from '../drizzle.ts'
import { jsonb, timestamps, timestamptz, xid8 } from './columns.ts'

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

/** Events that commit with the change they tell of; every role inserts, coordinator and control publish. */
export const caracalOutbox = pgTable(
  'caracal_outbox',
  {
    id: text('id').primaryKey(),
    producer: text('producer', {
      enum: ['control', 'coordinator', 'sts', 'gateway', 'audit', 'execution'],
    }).notNull(),
    topic: text('topic').notNull(),
    dedupeKey: text('dedupe_key').notNull(),
    payloadJson: jsonb('payload_json').notNull(),
    status: text('status', { enum: ['pending', 'published', 'dead'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    availableAt: timestamptz('available_at').notNull().defaultNow(),
    lockedUntil: timestamptz('locked_until'),
    lockedBy: text('locked_by'),
    lastError: text('last_error'),
    requestId: text('request_id'),
    publishedAt: timestamptz('published_at'),
    ...timestamps(),
  },
  (t) => [
    unique('caracal_outbox_producer_topic_dedupe_key_key').on(t.producer, t.topic, t.dedupeKey),
    index('caracal_outbox_status_available_at_idx').on(t.status, t.availableAt),
    index('caracal_outbox_pending_idx').on(t.createdAt, t.id).where(sql`${t.status} = 'pending'`),
    index('caracal_outbox_told_revocations_idx')
      .on(t.updatedAt)
      .where(sql`${t.topic} = 'caracal.sessions.revoke' and ${t.status} = 'published'`),
    check(
      'caracal_outbox_producer_check',
      sql`${t.producer} in ('control', 'coordinator', 'sts', 'gateway', 'audit', 'execution')`,
    ),
    check('caracal_outbox_status_check', sql`${t.status} in ('pending', 'published', 'dead')`),
  ],
)
