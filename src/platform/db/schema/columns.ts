/**
 * Column kinds shared by every table. Dates, bytes and JSON come back from the
 * driver as Date, Buffer and parsed value (`client.ts`), so these types add no
 * second conversion: a JSON column holding the string "1" stays that string.
 */
import { boolean, customType, sql, text, timestamp } from '../drizzle.ts'

export const timestamptz = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

export const bytea = customType<{ data: Buffer; driverData: Buffer }>({
  dataType: () => 'bytea',
})

export const jsonb = customType<{ data: unknown; driverData: unknown }>({
  dataType: () => 'jsonb',
  toDriver: (value) => JSON.stringify(value),
})

/** A transaction id; text on the way in and out, never arithmetic. */
export const xid8 = customType<{ data: string; driverData: string }>({
  dataType: () => 'xid8',
})

export const textArray = (name: string) => text(name).array().notNull().default(sql`'{}'::text[]`)

export const createdAt = () => timestamptz('created_at').notNull().defaultNow()
export const updatedAt = () => timestamptz('updated_at').notNull().defaultNow()

/** Both instants of a row that changes. */
export const timestamps = () => ({ createdAt: createdAt(), updatedAt: updatedAt() })

/** Who made and last changed a control-plane row (storage-and-operations §2). */
export const attribution = () => ({
  createdBy: text('created_by'),
  createdViaOperator: boolean('created_via_operator').notNull().default(false),
  updatedBy: text('updated_by'),
  updatedViaOperator: boolean('updated_via_operator').notNull().default(false),
})
