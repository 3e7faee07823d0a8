/** How far the archive has come, in whole UTC hours of ingest (audit-and-events §14.2). */
import type { Queryable } from '../../../platform/db/port.ts'

/** Start of the last archived hour, ISO 8601; null before the first. */
export async function lastExportedHour({ sql }: Queryable, name: string): Promise<string | null> {
  const [row] = await sql<{ hour: Date }[]>`
    select last_exported_hour as hour
    from audit_export_watermark
    where name = ${name}`
  return row?.hour.toISOString() ?? null
}

/** Everything ingested before this instant is archived. */
export async function exportedUntil(db: Queryable, name: string): Promise<string> {
  const hour = await lastExportedHour(db, name)
  return hour === null ? '0001-01-01T00:00:00Z' : new Date(Date.parse(hour) + 3_600_000).toISOString()
}

/** Moves the watermark forward, never back. */
export async function advanceWatermark({ sql }: Queryable, name: string, hour: string): Promise<void> {
  await sql`
    insert into audit_export_watermark (name, last_exported_hour, updated_at)
    values (${name}, ${hour}::timestamptz, now())
    on conflict (name) do update
    set last_exported_hour = excluded.last_exported_hour, updated_at = now()
    where audit_export_watermark.last_exported_hour < excluded.last_exported_hour`
}
