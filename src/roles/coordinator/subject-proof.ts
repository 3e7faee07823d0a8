/**
 * Proof of control over another subject's authority record (coordinator §4.3): a session may
 * stand on a record only if its application owns it or shows the federated user's own session mandate.
 */
import type { Settings } from '../../config/env.ts'
import type { Claims } from '../../platform/jose/compact.ts'
import type { Caller } from './caller.ts'
import { type Mandate, type MandateRules, readSessionMandate } from './mandate.ts'
import { refuse } from './refusal.ts'
import type { AuthorityRecord } from './store/references.ts'

export interface ProofDeps {
  readonly settings: Pick<Settings, 'COORDINATOR_SUBJECT_PROOF'>
}

export interface ProofRequest {
  readonly caller: Caller
  readonly applicationId: string
  readonly subjectToken: string | null
}

const absentInUserMandate = [
  'agent_session_id',
  'delegation_edge_id',
  'source_session_id',
  'target_session_id',
]

/** The user's mandate, null for none that is valid. Called before any lock is held: it may have to fetch keys. */
export async function readProof(
  rules: MandateRules,
  { caller, subjectToken }: ProofRequest,
): Promise<Mandate | null> {
  return subjectToken === null ? null : readSessionMandate(rules, subjectToken, caller.zoneId)
}

/** Throws 403 `subject_proof_application_mismatch` or 401 `invalid_subject_proof`. */
export function checkSubjectProof(
  deps: ProofDeps,
  request: ProofRequest,
  recordId: string,
  record: AuthorityRecord,
  proof: Mandate | null,
): void {
  if (recordId === request.caller.authorityRecordId) return
  if (record.session_type === 'application') {
    if (record.subject_id === request.applicationId) return
    throw refuse('subject_proof_application_mismatch')
  }
  if (request.subjectToken === null && deps.settings.COORDINATOR_SUBJECT_PROOF === 'if_present') return
  if (proof === null) throw refuse('invalid_subject_proof')
  if (proof.claims.client_id !== request.applicationId) throw refuse('subject_proof_application_mismatch')
  if (!isUserMandateFor(proof.claims, recordId)) throw refuse('invalid_subject_proof')
}

function isUserMandateFor(claims: Claims, recordId: string): boolean {
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  const isEmpty = (value: unknown) =>
    value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
  return (
    claims.sid === recordId &&
    claims.root_sid === recordId &&
    claims.sub_type === 'user' &&
    isText(claims.jti) &&
    typeof claims.iat === 'number' &&
    isEmpty(claims.scope) &&
    isEmpty(claims.target) &&
    isEmpty(claims.delegation_path) &&
    absentInUserMandate.every((name) => claims[name] === undefined)
  )
}
