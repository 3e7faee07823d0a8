/**
 * A decision by the application's federated user (sts §8.8), check by check. Decision,
 * evidence and wake-up commit together.
 */
import { createHash } from 'node:crypto'
import { secretEquals } from '../../../platform/crypto/hmac.ts'
import type { Database } from '../../../platform/db/port.ts'
import { isUnavailable } from '../../../platform/db/unavailable.ts'
import { parseCompact } from '../../../platform/jose/compact.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Outbox } from '../../../platform/outbox/port.ts'
import { auditOutboxEvent } from '../../audit/index.ts'
import { auditEvent } from '../evidence.ts'
import { accessDenied, invalidToken, resourceNotFound, unavailable } from '../refusal.ts'
import type { SigningKeys } from '../signing-keys.ts'
import { databaseNow } from '../store/clock.ts'
import { decideHold, notifyDecided, onOneAncestryLine } from '../store/holds.ts'
import { readRecord } from '../store/records.ts'
import { verifyMandate } from '../verify-mandate.ts'
import type { Approvals } from './approvals.ts'
import { type Hold, holdMetadata, type PrivacyMode } from './hold.ts'

interface SubjectDecisionRequest {
  readonly holdId: string
  /** Bearer: the user's session mandate. */
  readonly token: string
  readonly approved: boolean
  readonly binding: string
  readonly reason: string | null
}

export type DecideAsSubject = (request: SubjectDecisionRequest) => Promise<Hold>

export interface DecideAsSubjectDeps {
  readonly db: Database
  readonly approvals: Approvals
  readonly keys: SigningKeys
  readonly outbox: Outbox
  readonly auditKey: HmacKey
  readonly issuer: string
}

/** Resolves to the decided hold; rejects with the answers of sts §8.8. */
export function createDecideAsSubject(deps: DecideAsSubjectDeps): DecideAsSubject {
  return async (request) => {
    try {
      return await decide(request, deps)
    } catch (error) {
      if (isUnavailable(error)) throw unavailable('store is unavailable', error)
      throw error
    }
  }
}

async function decide(request: SubjectDecisionRequest, deps: DecideAsSubjectDeps): Promise<Hold> {
  const hold = await deps.approvals.find(request.holdId)
  if (hold === null) throw resourceNotFound('approval does not exist')
  const approver = await approverOf(request.token, hold, deps)
  if (hold.approver_class === 'operator') throw accessDenied('this approval belongs to an operator')
  if (hold.subject_anchor !== null && hold.subject_anchor !== '' && hold.subject_anchor !== approver.sub) {
    throw accessDenied('this approval belongs to another subject')
  }
  if (
    hold.session_id !== '' &&
    (await onOneAncestryLine(deps.db, hold.zone_id, approver.sid, hold.session_id))
  ) {
    throw accessDenied('a requester cannot approve its own request')
  }
  if (!secretEquals(request.binding, hold.binding)) throw accessDenied('binding does not match', 409)
  const decided = await record(request, hold, approver, deps)
  if (decided === null) throw accessDenied('approval is not decidable any more', 409)
  return decided
}

interface Approver {
  readonly sub: string
  readonly sid: string
}

/** Checks 6–9: a live user session of the hold's application in the hold's zone. */
async function approverOf(token: string, hold: Hold, deps: DecideAsSubjectDeps): Promise<Approver> {
  if (parseCompact(token) === null) throw invalidToken('invalid bearer token', 401)
  const now = await databaseNow(deps.db)
  const claims = await verifyMandate(
    { token, verifiedClaims: null, zoneId: hold.zone_id, issuer: deps.issuer, now, use: 'session' },
    deps.keys,
  )
  const { sub, sid } = claims
  if (typeof sub !== 'string' || typeof sid !== 'string') throw invalidToken('invalid bearer token', 401)
  if (claims.sub_type !== 'user') throw accessDenied('only a user may decide')
  if (hold.application_id === null) throw accessDenied('this approval belongs to a workload')
  const held = await readRecord(deps.db, hold.zone_id, sid)
  if (
    held === null ||
    held.status !== 'active' ||
    held.expires_at <= now ||
    held.session_type !== 'user' ||
    held.subject_id !== sub
  ) {
    throw accessDenied('authority record inactive or expired')
  }
  if (claims.client_id !== hold.application_id) throw accessDenied('session belongs to another application')
  return { sub, sid }
}

function record(
  request: SubjectDecisionRequest,
  hold: Hold,
  approver: Approver,
  deps: DecideAsSubjectDeps,
): Promise<Hold | null> {
  return deps.db.transaction(async (tx) => {
    const decided = await decideHold(tx, hold.id, {
      approved: request.approved,
      approverSubjectId: approverIdentity(hold.privacy_mode, hold.zone_id, approver.sub),
      approverRecordId: approver.sid,
      reason: request.reason,
    })
    if (decided === null) return null
    const event = auditEvent({
      zoneId: hold.zone_id,
      requestId: hold.id,
      type: 'step_up_decided',
      decision: request.approved ? 'approved' : 'rejected',
      status: 'complete',
      metadata: { ...holdMetadata(decided), approver_plane: 'subject', approver_session_id: approver.sid },
    })
    await deps.outbox.enqueue(tx, 'sts', [auditOutboxEvent(deps.auditKey, event)])
    await notifyDecided(tx, hold.id)
    return decided
  })
}

/** What is kept of the approver's identity, per privacy mode. */
export function approverIdentity(mode: PrivacyMode, zoneId: string, sub: string): string {
  if (mode === 'identified') return `subject:${sub}`
  if (mode === 'anonymous') return 'subject:redacted'
  const digest = createHash('sha256').update(`${zoneId}\0${sub}`, 'utf8').digest('hex')
  return `subject:pseudonym:${digest.slice(0, 16)}`
}
