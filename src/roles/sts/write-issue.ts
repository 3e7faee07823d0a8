/**
 * What must rest in the stores before a mandate leaves (sts §5.2 M, design §3): its authority record, the
 * registration of its id, and the evidence of its decision. In one round trip where they share a database,
 * and where the record is what registers the id; otherwise side by side, and the mandate waits for all three.
 */
import { EphemeraUnavailable } from '../../platform/ephemera/port.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { type Exchange, Unproven } from './exchange-state.ts'
import { UseNotClaimed } from './port.ts'
import { accessDenied, internalError, unavailable } from './refusal.ts'
import type { Issued, LiveBasis, NewRecord } from './store/issue-records.ts'
import type { Together } from './store/issue-together.ts'
import { storeAway, storeFailure } from './store-failure.ts'

/** The mandate that is about to be signed. */
export interface Issue {
  readonly record: NewRecord
  readonly basis: LiveBasis | null
  readonly jti: string
  /** Seconds. */
  readonly ttl: number
}

/** Rejects with `Unproven` when the premise does not hold, 403 when the basis died meanwhile, 503 when a store cannot be asked or the evidence cannot be kept. */
export async function writeIssue(x: Exchange, issue: Issue, deps: ExchangeDeps): Promise<void> {
  if (await writeTogether(x, issue, deps)) return
  if (x.premise !== null) throw new Unproven(true)
  await settleAll([insertRecord(x, issue, deps), registerJti(x, issue, deps), ...awaitEvidence(x, deps)])
}

/** The same for a record that was inserted already; `registered` when its mandate was issued before. */
export async function writeBesideRecord(
  x: Exchange,
  issue: Issue,
  registered: boolean,
  deps: ExchangeDeps,
): Promise<void> {
  await settleAll([...(registered ? [] : [registerJti(x, issue, deps)]), ...awaitEvidence(x, deps)])
}

/** False when nothing was written: the stores are several, the graph of the zone is being changed, or the premise fell. */
async function writeTogether(x: Exchange, issue: Issue, deps: ExchangeDeps): Promise<boolean> {
  if (deps.issueTogether === null) return false
  const boarded = deps.evidence.board(x)
  if (boarded === null) return false
  const use = x.pendingUse?.use ?? null
  let written: Together
  try {
    written = await deps.issueTogether.write({
      record: issue.record,
      basis: issue.basis,
      premise: x.premise,
      use,
      evidence: boarded.map(({ entry }) => entry),
    })
  } catch (error) {
    // What may be a replay was never decided. Where the store said no, the claim is made for itself.
    if (use !== null)
      throw storeAway(error) === null ? new Unproven(false) : new UseNotClaimed('unknown', error)
    // The decision was made; its evidence outlives the store that was to hold its outcome.
    x.premise = null
    for (const event of boarded) void event.leftBehind()
    throw storeFailure(error, 'authority record cannot be inserted')
  }
  const { outcome } = written
  if (outcome === 'replayed' || outcome === 'predates_memory') {
    x.pendingUse?.claimed(outcome)
    throw new UseNotClaimed(outcome)
  }
  if (use !== null) {
    // The claim was taken back with everything else.
    if (outcome === 'refused') throw new Unproven(false)
    x.pendingUse?.claimed('fresh')
  }
  if (outcome === 'inserted') x.premise = null
  if (x.premise !== null || outcome === 'busy' || outcome === 'outdated') return false
  for (const event of boarded) {
    if (outcome === 'inserted') event.arrived()
    else void event.leftBehind()
  }
  assertInserted(x, outcome, deps)
  assertFresh(x, issue, written.fresh, deps)
  return true
}

async function insertRecord(x: Exchange, issue: Issue, deps: ExchangeDeps): Promise<void> {
  const outcome = await deps.issueRecord(issue.record, issue.basis).catch((error: unknown) => {
    throw storeFailure(error, 'authority record cannot be inserted')
  })
  assertInserted(x, outcome, deps)
}

export function assertInserted(x: Exchange, outcome: Issued, deps: ExchangeDeps): void {
  if (outcome === 'inserted') return
  deps.evidence.denied(x, 'reference_invalid', { reason: outcome })
  if (outcome === 'refused') throw internalError('authority record was refused by the store')
  throw accessDenied('authority ended while the mandate was issued')
}

async function registerJti(x: Exchange, issue: Issue, deps: ExchangeDeps): Promise<void> {
  let fresh: boolean
  try {
    fresh = await deps.ephemera.setIfAbsent(jtiKey(issue), jtiHolder(x), issue.ttl * 1000)
  } catch (error) {
    if (error instanceof EphemeraUnavailable) throw unavailable('token registry is unavailable', error)
    throw internalError('token cannot be registered', error)
  }
  assertFresh(x, issue, fresh, deps)
}

/** sts §5.7: guards against id collisions, not against replay. */
function assertFresh(x: Exchange, { jti }: Issue, fresh: boolean, deps: ExchangeDeps): void {
  if (fresh) return
  void deps.evidence.emit({
    zoneId: x.zoneId,
    requestId: x.request.requestId,
    type: 'jti_collision',
    decision: 'deny',
    status: 'anomaly',
    metadata: { jti, app_id: x.application.id, request_id: x.request.requestId },
  })
  throw internalError('token id collision')
}

const jtiKey = ({ jti }: Issue): string => `audit:jti:${jti}`

const jtiHolder = (x: Exchange): string => `${x.application.id}|${Math.floor(x.snapshot.now / 1000)}`

function awaitEvidence(x: Exchange, deps: ExchangeDeps): Promise<void>[] {
  return deps.evidence.send(x).map(async (accepted) => {
    if ((await accepted) === 'lost') throw unavailable('evidence cannot be kept')
  })
}

/** Waits for all before the first failure is reported: nothing goes on behind a refused exchange. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}
