/**
 * One transaction of several starts and ends of sessions, of one zone or of many, each with its events, its
 * receipt and its administrative record. Sessions end first; starts are decided one after the other, each on
 * what the ones before it left. A change that is refused leaves nothing and takes no other one with it.
 *
 * Round trips, for however many changes: locks, facts and ends; writes. One more where an edge was cut.
 * `begin` and `commit` travel along.
 */
import { openAdminRecords } from '../../platform/admin-audit/append.ts'
import type { AdminAction } from '../../platform/admin-audit/record.ts'
import type { Tx } from '../../platform/db/port.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import { managedBy } from './caller.ts'
import type { CoordinatorDeps } from './deps.ts'
import { eachRevoked, ended, epochRaised } from './events.ts'
import type { Answered, StartChange, StartDeps, StartedSession } from './start-session.ts'
import { decideStart, lineUp } from './start-session.ts'
import { type EndedTree, endTrees } from './store/cascade.ts'
import { insertEdge } from './store/edges.ts'
import { raiseEpochs } from './store/epochs.ts'
import { awaitLocks, tryLocks, type WantedLocks } from './store/locks.ts'
import { findReceipts, forgetReceipts, insertReceipts } from './store/receipts.ts'
import { type EndFacts, findEndingForUpdate, insertSessions } from './store/sessions.ts'
import { findParentsForUpdate, readInheritable, readStartFacts } from './store/start-facts.ts'
import { checkEnd, type TerminateRequest } from './terminate-session.ts'

export interface EndChange {
  readonly kind: 'end'
  readonly request: TerminateRequest
}

export type Change = StartChange | EndChange

/** `busy`: a lock was not free; nothing was done, and the change must be made again. */
export type Outcome =
  | { readonly kind: 'busy' }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'started'; readonly answer: Answered }
  | { readonly kind: 'ended' }

export interface Manner {
  /** Waits for the locks, which is for changes of one zone; otherwise what is not free is `busy`. */
  readonly waits: boolean
  /** Writes the administrative records. */
  readonly records: boolean
}

export type ChangeDeps = StartDeps & Pick<CoordinatorDeps, 'db' | 'outbox' | 'log'>

/** Rejects changes of several zones: too much ends in one of them for the others to wait for it. */
export class TooMuchEnds extends Error {
  override readonly name = 'TooMuchEnds'
}

/** Sessions and edges that may end in a transaction of several zones; each is told in three events. */
const mostEnding = 256

/** One outcome for each change, in order. A rejection means that nothing was done, or that it cannot be known. */
export function changeSessions(
  deps: ChangeDeps,
  changes: readonly Change[],
  manner: Manner,
): Promise<readonly Outcome[]> {
  return deps.outbox.transaction(deps.db, (tx) => changeWithin(deps, tx, changes, manner))
}

/** A change at its place in the transaction. */
type Placed<C extends Change> = C & { readonly n: number }

async function changeWithin(
  deps: ChangeDeps,
  tx: Tx,
  changes: readonly Change[],
  { waits, records }: Manner,
): Promise<readonly Outcome[]> {
  const placed = changes.map((change, n) => ({ ...change, n }))
  const starts = placed.filter((change): change is Placed<StartChange> => change.kind === 'start')
  const ends = placed.filter((change): change is Placed<EndChange> => change.kind === 'end')
  const zones = [...new Set(changes.map(zoneOf))]
  const asked = lineUp(deps, starts)

  // In one packet, run in this order: what follows the locks does nothing for a change that lacks one of its own.
  const [granted, record, targets, trees, facts, receipts, parents, inheritable] = await Promise.all([
    (waits ? awaitLocks : tryLocks)(
      tx,
      changes.map((change) => wanted(change, records)),
    ),
    records ? openAdminRecords(tx, deps.keys.audit, zones, () => recordRefused(changes)) : null,
    findEndingForUpdate(
      tx,
      ends.map(({ n, request }) => ({ n, sessionId: request.sessionId })),
    ),
    endTrees(tx, ends.map(rootOf)),
    readStartFacts(tx, asked.facts),
    findReceipts(tx, asked.receipts),
    findParentsForUpdate(tx, asked.children),
    readInheritable(tx, asked.children),
  ])
  if (zones.length > 1 && sizeOf(trees) > mostEnding) throw new TooMuchEnds()
  const actions: AdminAction[] = []
  const outcomes = new Map<number, Outcome>()
  const settle = (change: Change & { readonly n: number }, decide: () => Outcome): void => {
    if (!granted.has(change.n)) {
      outcomes.set(change.n, { kind: 'busy' })
      return
    }
    try {
      outcomes.set(change.n, decide())
    } catch (error) {
      outcomes.set(change.n, { kind: 'refused', error })
    }
  }
  const recorded = ({ request }: Change, outcome: { status: number; entityId?: string }): void => {
    if (!records) return
    actions.push(request.record.describe(outcome))
    tx.onCommit(request.record.written)
  }

  for (const change of ends) {
    settle(change, () => {
      checkEnd(change.request, targetOf(change.request, targets), trees.has(change.n))
      recorded(change, { status: 204 })
      return { kind: 'ended' }
    })
    if (trees.has(change.n) && outcomes.get(change.n)?.kind !== 'ended') {
      throw new Error('a session ended that its caller may not end')
    }
  }
  const endings = await announcedEnds(deps, tx, ends, trees)

  const started: StartedSession[] = []
  const stand = { facts, receipts, parents, inheritable, started }
  for (const change of starts) {
    settle(change, () => {
      const { answer, session } = decideStart(deps, change, stand)
      recorded(change, { status: 201, entityId: answer.entityId })
      if (session !== null) started.push(session)
      return { kind: 'started', answer }
    })
  }
  for (const { n, scope, known } of asked.receipts) {
    const live = receipts.get(n)?.live
    if (known === null && live !== undefined) deps.receiptCounts.counted(scope, live)
  }
  writeStarts(deps, tx, started)
  record?.(actions)
  await deps.outbox.enqueue(tx, 'coordinator', [...endings, ...started.flatMap(({ events }) => events)])
  return changes.map((_, n) => outcomes.get(n) ?? { kind: 'busy' })
}

export const zoneOf = ({ request }: Change): string => request.caller.zoneId

function wanted(change: Change, records: boolean): WantedLocks {
  return {
    zoneId: zoneOf(change),
    key: change.kind === 'start' ? (change.key?.lock ?? null) : null,
    // A delegation locks rows of sessions under the graph lock.
    graph: change.kind === 'end' || change.request.parentId !== null,
    chain: records,
  }
}

/** The store refuses records only one by one: of several the refused one is not known. */
function recordRefused(changes: readonly Change[]): void {
  const [only, ...others] = changes
  if (others.length === 0) only?.request.record.refuse()
}

const rootOf = ({ n, request: { caller, sessionId, reason, leaseGeneration } }: Placed<EndChange>) => ({
  n,
  zoneId: caller.zoneId,
  sessionId,
  reason,
  by: { applications: managedBy(caller), leaseGeneration },
})

function targetOf(
  { caller, sessionId }: TerminateRequest,
  targets: ReadonlyMap<string, EndFacts>,
): EndFacts | null {
  const target = targets.get(sessionId)
  return target?.zone_id === caller.zoneId ? target : null
}

const sizeOf = (trees: ReadonlyMap<number, EndedTree>): number =>
  [...trees.values()].reduce((size, { sessions, edges }) => size + sessions.length + edges.length, 0)

/** Raises the epochs and tells of what ended. */
async function announcedEnds(
  deps: ChangeDeps,
  tx: Tx,
  ends: readonly Placed<EndChange>[],
  trees: ReadonlyMap<number, EndedTree>,
): Promise<OutboxEvent[]> {
  const key = deps.keys.audit
  const cut = ends.filter(({ n }) => (trees.get(n)?.edges.length ?? 0) > 0)
  const epochs = await raiseEpochs(tx, [...new Set(cut.map(zoneOf))])
  const events: OutboxEvent[] = []
  for (const { n, request } of ends) {
    const tree = trees.get(n)
    if (tree === undefined) continue
    const { zoneId } = request.caller
    const origin = { zoneId, requestId: request.requestId }
    events.push(...tree.sessions.flatMap((session) => ended(key, origin, session)))
    if (tree.edges.length === 0) continue
    const ofZone = ends.filter(({ request: { caller } }) => caller.zoneId === zoneId)
    const epoch = epochs.get(zoneId) ?? 1
    const allEnded = ofZone.flatMap((end) => trees.get(end.n)?.sessions ?? [])
    const why = { reason: 'session_terminated' }
    events.push(...eachRevoked(key, origin, tree.edges, { ended: allEnded, epoch, why }))
    const first = cut.find((end) => zoneOf(end) === zoneId)
    if (first?.n !== n) continue
    const edges = ofZone.flatMap((end) => trees.get(end.n)?.edges ?? [])
    events.push(epochRaised(origin, 'edge_revoke', epoch, edges))
  }
  return events
}

function writeStarts({ counts, receiptCounts }: StartDeps, tx: Tx, started: readonly StartedSession[]): void {
  const receipts = started.flatMap(({ receipt }) => receipt ?? [])
  const over = started.flatMap((each) => each.over)
  forgetReceipts(tx, over)
  insertSessions(
    tx,
    started.map(({ session }) => session),
  )
  for (const { edge } of started) {
    if (edge !== null) insertEdge(tx, edge)
  }
  insertReceipts(tx, receipts)
  tx.onCommit(() => {
    counts.idempotency.expired += over.length
    counts.idempotency.created += receipts.length
    for (const { scope } of receipts) receiptCounts.added(scope, 1)
  })
}
