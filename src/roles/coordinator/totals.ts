/** Table totals for `/metrics` and `/stats`: read at most every 15 s, one refresh at a time (coordinator §14). */
import type { Database } from '../../platform/db/port.ts'
import { countRows, type OutboxCounts } from '../../platform/outbox/rows.ts'
import { countInvocations, countReceipts, type ReceiptTotals } from './store/totals.ts'

const maxAgeMs = 15_000

export interface Totals {
  readonly invocations: Readonly<Record<string, number>>
  readonly outbox: OutboxCounts
  readonly receipts: ReceiptTotals
}

export function createTotals(db: Database): () => Promise<Totals> {
  let read: { readonly at: number; readonly totals: Promise<Totals> } | null = null

  async function refresh(): Promise<Totals> {
    const [invocations, outbox, receipts] = await Promise.all([
      countInvocations(db),
      countRows(db, 'coordinator'),
      countReceipts(db),
    ])
    return { invocations, outbox, receipts }
  }

  return () => {
    const now = performance.now()
    if (read !== null && now - read.at < maxAgeMs) return read.totals
    const totals = refresh()
    const started = { at: now, totals }
    read = started
    // A failure is not kept: whoever asks next tries again.
    totals.catch(() => {
      if (read === started) read = null
    })
    return totals
  }
}
