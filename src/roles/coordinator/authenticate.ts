/** Turns `Authorization` into a caller, and lets in who may come in (coordinator §2). */

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

/**
 * The caller `authorization` proves, by the checks of §2.2 up to the subject's. Nothing may be done in their
 * name before `admit`; what it refuses them is theirs all the same, and recorded.
 */
export async function identify(
  deps: AuthenticateDeps,
  authorization: string | undefined,
  { zoneId, operatorAllowed }: Destination,
): Promise<Caller> {
  const token = bearerOf(authorization)
  if (operatorAllowed && isOperatorToken(deps.settings, token)) {
    return operatorCaller(zoneId ?? '', deps.requiredScope)
  }
  const mandate = await readSessionMandate(deps, token)
  if (mandate === null) throw refuse('invalid_token')
  const scopes = (textClaim(mandate.claims, 'scope') ?? '').split(' ').filter((scope) => scope !== '')
  return {
    zoneId: mandate.zoneId,
    subject: mandate.subject,
    clientId: textClaim(mandate.claims, 'client_id') ?? '',
    scopes: new Set(scopes),
    authorityRecordId: textClaim(mandate.claims, 'sid'),
    operator: false,
  }
}

/** The checks of §2.2 that are left for a proven caller, in their order. Throws what they fail. */
export async function admit(
  deps: AuthenticateDeps,
  caller: Caller,
  { zoneId }: Pick<Destination, 'zoneId'>,
): Promise<void> {
  if (caller.operator) {
    // Its zone is that of the path.
    if (zoneId === null) throw refuse('invalid_params')
    return
  }
  if (!caller.scopes.has(deps.requiredScope)) throw refuse('missing_scope')
  if (zoneId !== null && caller.zoneId !== zoneId) throw refuse('zone_mismatch')
  if (caller.clientId === '') throw refuse('invalid_token')
  const { zoneId: ownZone, clientId: applicationId, authorityRecordId: recordId } = caller
  if (!(await deps.isLive({ zoneId: ownZone, applicationId, recordId }))) throw refuse('identity_revoked')
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
