/** Everything a zone holds in a window of time as text, one page in memory at a time. */
import type { Queryable } from '../../../platform/db/port.ts'
import { headSequence, type LedgerEvent, readEvents } from '../store/read-events.ts'
import { exportedEvent } from '../wire-event.ts'
import { eventHeader, eventLine } from './event-csv.ts'

const pageSize = 1_000

export type ExportFormat = 'ndjson' | 'csv'

export interface ExportQuery {
  readonly zoneId: string
  readonly since?: string | undefined
  readonly until?: string | undefined
}

/** Ends at the head as it stands now: an export of a busy zone comes to an end. */
export async function* exportZone(
  db: Queryable,
  query: ExportQuery,
  format: ExportFormat,
): AsyncGenerator<string> {
  if (format === 'csv') yield eventHeader
  const end = await headSequence(db, query.zoneId)
  let afterSeq = 0
  for (;;) {
    const rows = await readEvents(db, { ...query, afterSeq, limit: pageSize })
    const page = rows.filter((row) => row.chainSeq <= end)
    if (page.length > 0) yield page.map(format === 'csv' ? eventLine : ndjsonLine).join('')
    afterSeq = rows.at(-1)?.chainSeq ?? end
    if (rows.length < pageSize || afterSeq >= end) return
  }
}

const ndjsonLine = (row: LedgerEvent) => `${exportedEvent(row)}\n`
