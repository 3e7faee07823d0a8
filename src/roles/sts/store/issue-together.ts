/**
 * The write of an exchange in one round trip, where store, bus and ephemera are one Postgres: the
 * authority record and the evidence of the decision commit together, for all exchanges of one turn at
 * once, and the one use of a presented mandate may be claimed in passing (SQL function `sts_issue`). It
 * never waits for a lock: an exchange of a zone whose graph is being changed is answered `busy` and must
 * be written the long way.
 */

import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Fields, OutgoingEntry, StoreBus } from '../../../platform/bus/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import type { ClaimOutcome, OneUse } from '../../../platform/ephemera/port.ts'
import { wholeMs } from '../../../platform/ephemera/postgres-ask.ts'
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
  /** Claimed with the write, whatever becomes of it; `null` where nothing is left to claim. */
  readonly use: OneUse | null
  readonly evidence: readonly OutgoingEntry[]
}

export interface Together {
  /** `outdated`: the premise does not hold; neither then nor after a lost claim is anything else written. */
  readonly outcome: Attempted | 'outdated' | Exclude<ClaimOutcome, 'fresh'>
  /** False when the id of the record was taken already. */
  readonly fresh: boolean
}

export interface IssueTogether {
  /** Rejects with the driver's error; then nothing of the item was written. */
  write(item: TogetherItem): Promise<Together>
  /** Whether nothing is on its way or waiting. */
  readonly idle: boolean
}

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
        ${usesOf(items)}::text::json,
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
  return {
    write: (item) => batches.add(item),
    get idle() {
      return batches.quiet
    },
  }
}

/** JSON of what is to be claimed, `null` where that is nothing. */
function usesOf(items: readonly TogetherItem[]): string | null {
  const uses = items.flatMap(({ use }, n) =>
    use === null
      ? []
      : {
          n,
          key: use.key,
          holder: use.value,
          life: wholeMs(use.ttlMs),
          minted: use.issuedAt,
        },
  )
  return uses.length === 0 ? null : JSON.stringify(uses)
}
