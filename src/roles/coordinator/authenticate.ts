/** Turns `Authorization` into a caller, or throws (coordinator §2). */
import { secretEquals } from '../../platform/crypto/hmac.ts'
import type { Queryable } from '../../platform/db/port.ts'
import { maxTokenLength } from '../../platform/jose/compact.ts'
import type { MandateVerifier } from '../../platform/jose/mandate-verifier.ts'
import type { Caller } from './caller.ts'
import { readSessionMandate, textClaim } from './mandate.ts'
import { refuse } from './refusal.ts'
import { isLiveIdentity } from './store/references.ts'

export interface AuthenticateDeps {
  readonly db: Queryable
  readonly verifier: MandateVerifier
  readonly issuer: string
  readonly requiredScope: string
  readonly operatorToken: string | null
}

const operator = 'caracal-operator'

/**
 * The caller behind `authorization` for a route of `zoneId`. The operator token is accepted only
 * where the route allows it; anywhere else it is an invalid mandate.
 */
export async function authenticate(
  deps: AuthenticateDeps,
  authorization: string | undefined,
  zoneId: string,
  operatorAllowed: boolean,
): Promise<Caller> {
  const token = authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : ''
  if (token === '' || token.length > maxTokenLength) throw refuse('missing_token')
  if (operatorAllowed && deps.operatorToken !== null && secretEquals(token, deps.operatorToken)) {
    return operatorCaller(zoneId, deps.requiredScope)
  }
  const mandate = await readSessionMandate(deps.verifier, deps.issuer, token, Math.floor(Date.now() / 1000))
  if (mandate === null) throw refuse('invalid_token')
  const scopes = new Set(
    (textClaim(mandate.claims, 'scope') ?? '').split(' ').filter((scope) => scope !== ''),
  )
  if (!scopes.has(deps.requiredScope)) throw refuse('missing_scope')
  if (mandate.zoneId !== zoneId) throw refuse('zone_mismatch')
  const clientId = textClaim(mandate.claims, 'client_id')
  if (clientId === null) throw refuse('invalid_token')
  const authorityRecordId = textClaim(mandate.claims, 'sid')
  if (!(await isLiveIdentity(deps.db, zoneId, clientId, authorityRecordId))) throw refuse('identity_revoked')
  return {
    zoneId,
    subject: mandate.subject,
    clientId,
    scopes,
    authorityRecordId,
    agentSessionId: textClaim(mandate.claims, 'agent_session_id'),
    delegationEdgeId: textClaim(mandate.claims, 'delegation_edge_id'),
  }
}

function operatorCaller(zoneId: string, scope: string): Caller {
  return {
    zoneId,
    subject: operator,
    clientId: operator,
    scopes: new Set([scope, 'coordinator.admin']),
    authorityRecordId: null,
    agentSessionId: null,
    delegationEdgeId: null,
  }
}
