/**
 * The write of an exchange in one round trip, where store, bus and ephemera are one Postgres: the
 * authority record, the id of its mandate and the evidence of the decision commit together, for all
 * exchanges of one turn at once (SQL function `sts_issue`). It never waits for a lock: an exchange of
 * a zone whose graph is being changed is answered `busy` and must be written the long way.
 */

import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Fields, OutgoingEntry, StoreBus } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import {
  type Attempted,
  guardedZones,
  type IssueItem,
  issueRows,
  oneBadItemAside,
  type Premise,
} from './issue-records.ts'

export interface TogetherItem extends IssueItem {
  readonly premise: Premise | null
  /** Registered for `ttlMs` with `holder` as its value. */
  readonly jti: { readonly key: string; readonly holder: string; readonly ttlMs: number }
  readonly evidence: readonly OutgoingEntry[]
}

export interface Together {
  /** `outdated`: the premise does not hold and nothing was written. */
  readonly outcome: Attempted | 'outdated'
  /** False when the id was taken already. */
  readonly fresh: boolean
}

/** Rejects with the driver's error; then nothing of the item was written. */
export type IssueTogether = (item: TogetherItem) => Promise<Together>

const maxItems = 128
/** A small statement has room for entries that ride along; a large one is waited for by many. */
const roomyItems = 8
const maxRiders = 32

/** The number of its item, and what goes into the bus when that is written. */
type Entry = readonly [item: number, stream: string, fields: Fields]

const refused: Together = { outcome: 'refused', fresh: false }

export function createTogetherIssuer(db: Pick<Database, 'hotWrites'>, bus: StoreBus): IssueTogether {
  const write = async (items: readonly TogetherItem[]): Promise<Together[]> => {
    const rides = items.length <= roomyItems ? bus.rides.take(maxRiders) : []
    const riders = rides.flatMap((ride) => ride.entries)
    // They are entries of the first item, as far as the statement can tell.
    const entries = items.flatMap((item, n) =>
      (n === 0 ? [...item.evidence, ...riders] : item.evidence).map(
        (entry) => [n, entry.stream, entry.fields] as const,
      ),
    )
    let arrived = false
    try {
      const written = await send(items, entries)
      arrived = written[0]?.outcome === 'inserted'
      return written
    } finally {
      for (const ride of rides) ride.settle(arrived)
    }
  }

  const send = async (items: readonly TogetherItem[], entries: readonly Entry[]): Promise<Together[]> => {
    const streams = [...new Set(entries.map(([, stream]) => stream))]
    const notified = bus.announce(streams)
    const written = await db.hotWrites<(Together & { readonly n: number })[]>`
      select n, outcome, fresh from sts_issue(
        ${issueRows(items)}::text::json,
        ${guardedZones(items)}::text[],
        ${items.map((item) => item.jti.key)}::text[],
        ${items.map((item) => item.jti.holder)}::text[],
        ${items.map((item) => Math.max(1, Math.ceil(item.jti.ttlMs)))}::float8[],
        ${JSON.stringify(entries)}::text::jsonb,
        ${notified as string[]}::text[])`
    bus.committed(streams)
    const byItem = new Map(written.map((row) => [row.n, row]))
    return items.map((_, n) => byItem.get(n) ?? refused)
  }
  const batches = createCoalescer<TogetherItem, Together>({
    maxItems,
    flush: (items) => oneBadItemAside(items, write, refused),
  })
  return (item) => batches.add(item)
}
