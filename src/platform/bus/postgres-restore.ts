/**
 * A logical restore brings rows whose transaction ids the new cluster has not
 * reached: they would never become final, and new entries would sort below the
 * cursors. Such a store is recognised at the first read and its entries are
 * delivered once more from the start; consumers dedupe.
 */
import type { Logger } from 'pino'
import type { Database } from '../db/port.ts'
import { trimMark } from './postgres-trim.ts'

export async function adoptRestoredEvents(db: Database, log: Logger): Promise<void> {
  const [row] = await db.sql<{ foreign: boolean }[]>`
    select exists (
             select 1 from bus_cursor
             where xid >= pg_snapshot_xmax(pg_current_snapshot()))
        or exists (
             select 1 from (select xid from bus_event order by seq desc limit 1) newest
             where newest.xid >= pg_snapshot_xmax(pg_current_snapshot())) as foreign`
  if (row?.foreign !== true) return
  await db.transaction(async ({ sql }) => {
    await sql`lock table bus_cursor in share row exclusive mode`
    // 3 is the lowest ordinary transaction id: below everything the new cluster will assign.
    await sql`
      update bus_event set xid = '3'::xid8
      where xid >= pg_snapshot_xmax(pg_current_snapshot())`
    await sql`
      update bus_cursor set xid = '0'::xid8, seq = 0
      where xid >= pg_snapshot_xmax(pg_current_snapshot())`
    await sql`delete from bus_cursor where grp = ${trimMark} and xid = '0'::xid8`
  })
  log.warn('bus_restored_from_backup')
}
