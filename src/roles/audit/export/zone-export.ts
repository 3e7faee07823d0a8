/** Everything a zone holds in a window of time as text, one page in memory at a time. */
import type { Queryable } from '../../../platform/db/port.ts'
import { headSequence, type LedgerEvent, readEvents } from '../store/read-events.ts'
import { wireEvent } from '../wire-event.ts'
import { csvHeader, csvLine } from './csv-line.ts'

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
  if (format === 'csv') yield csvHeader
  const end = await headSequence(db, query.zoneId)
  let afterSeq = 0
  for (;;) {
    const rows = await readEvents(db, { ...query, afterSeq, limit: pageSize })
    const page = rows.filter((row) => row.chainSeq <= end)
    if (page.length > 0) yield page.map(format === 'csv' ? csvLine : ndjsonLine).join('')
    afterSeq = rows.at(-1)?.chainSeq ?? end
    if (rows.length < pageSize || afterSeq >= end) return
  }
}

/** The event with its place in the chain, as one line of JSON. */
function ndjsonLine(row: LedgerEvent): string {
  const chain = {
    ingested_at: row.ingestedAt,
    chain_seq: row.chainSeq,
    content_sha256: row.contentSha256,
    prev_content_sha256: row.prevContentSha256,
    chain_hmac: row.chainHmac,
  }
  return `${JSON.stringify({ ...wireEvent(row), ...chain })}\n`
}
