/** Turns `Authorization` into a caller, or throws (coordinator §2). */

import type { Settings } from '../../config/env.ts'
import { secretEquals } from '../../platform/crypto/hmac.ts'
import { maxTokenLength } from '../../platform/jose/compact.ts'
import type { Caller } from './caller.ts'
import { type MandateRules, readSessionMandate, textClaim } from './mandate.ts'
import { refuse } from './refusal.ts'
import type { IsLive } from './store/live-identities.ts'

export interface AuthenticateDeps extends MandateRules {
  readonly isLive: IsLive
  readonly requiredScope: string
  readonly settings: Pick<Settings, 'CARACAL_COORDINATOR_TOKEN'>
}

/** What the caller wants to reach. */
export interface Destination {
  /** Null where the path names no zone, or none that could exist: the mandate's own is taken. */
  readonly zoneId: string | null
  /** The static operator token counts here; anywhere else it is an invalid mandate. */
  readonly operatorAllowed: boolean
}

const operator = 'caracal-operator'

/** The token of `Bearer <token>`, exact case. Throws 401 `missing_token`. */
export function bearerOf(authorization: string | undefined): string {
  const token = authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : ''
  if (token === '' || token.length > maxTokenLength) throw refuse('missing_token')
  return token
}

/** Constant time; false for everything while no operator token is configured. */
export function isOperatorToken(settings: AuthenticateDeps['settings'], token: string): boolean {
  const expected = settings.CARACAL_COORDINATOR_TOKEN
  return expected !== null && expected !== '' && secretEquals(token, expected)
}

/** The caller behind `authorization`; the checks of §2.2 in their order. */
export async function authenticate(
  deps: AuthenticateDeps,
  authorization: string | undefined,
  { zoneId, operatorAllowed }: Destination,
): Promise<Caller> {
  const token = bearerOf(authorization)
  if (operatorAllowed && zoneId !== null && isOperatorToken(deps.settings, token)) {
    return operatorCaller(zoneId, deps.requiredScope)
  }
  const mandate = await readSessionMandate(deps, token)
  if (mandate === null) throw refuse('invalid_token')
  const scopes = new Set(
    (textClaim(mandate.claims, 'scope') ?? '').split(' ').filter((scope) => scope !== ''),
  )
  if (!scopes.has(deps.requiredScope)) throw refuse('missing_scope')
  if (zoneId !== null && mandate.zoneId !== zoneId) throw refuse('zone_mismatch')
  const clientId = textClaim(mandate.claims, 'client_id')
  if (clientId === null) throw refuse('invalid_token')
  const authorityRecordId = textClaim(mandate.claims, 'sid')
  const identity = { zoneId: mandate.zoneId, applicationId: clientId, recordId: authorityRecordId }
  if (!(await deps.isLive(identity))) throw refuse('identity_revoked')
  return {
    zoneId: mandate.zoneId,
    subject: mandate.subject,
    clientId,
    scopes,
    authorityRecordId,
    operator: false,
  }
}

function operatorCaller(zoneId: string, scope: string): Caller {
  return {
    zoneId,
    subject: operator,
    clientId: operator,
    scopes: new Set([scope, 'coordinator.admin']),
    authorityRecordId: null,
    operator: true,
  }
}
