/**
 * Step A: who calls (sts §2.2). Every failure has one public answer; that an
 * application lives in another zone is told only to a caller who holds its secret.
 */

import type { Caller } from '../../../platform/crypto/port.ts'
import { isControlRequest, mayInvokeControl } from '../control-key.ts'
import type { ApplicationDefinition } from '../definitions.ts'
import { applicationMetadata } from '../evidence.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { ExchangeRequest } from '../exchange-state.ts'
import { invalidClient, zoneInvalid } from '../refusal.ts'
import { findApplicationAnywhere } from '../store/applications.ts'

/**
 * The zone of a request that names none: only a control key asking for control scopes
 * may leave it out (sts §2.2 step 2). Its secret is checked afterwards like any other.
 */
export async function locateControlZone(request: ExchangeRequest, deps: ExchangeDeps): Promise<string> {
  const located = await findApplicationAnywhere(deps.db, request.applicationId)
  const eligible =
    located !== null &&
    mayInvokeControl({ traits: located.traits }) &&
    isControlRequest(request) &&
    request.resources.length > 0 &&
    request.resources.every((resource) => resource === deps.controlAudience)
  if (located === null || !eligible) {
    await deps.hasher.verify(request.clientSecret ?? '', null)
    return failed(request, deps, 'zone_id is missing and the request is not a control key exchange')
  }
  return located.zone_id
}

/** Accepts the application a snapshot found, or rejects with 401, 403 or 429. */
export async function authenticateClient(
  request: ExchangeRequest,
  zoneId: string,
  application: ApplicationDefinition | null,
  deps: ExchangeDeps,
  caller?: Caller,
): Promise<ApplicationDefinition> {
  if (request.gateway !== null) {
    if (application === null) throw invalidClient('application is not live in the zone')
    if (request.subjectToken === null) throw invalidClient('gateway exchange without subject token')
    return application
  }
  const secret = request.clientSecret ?? ''
  if (application !== null) {
    if (await deps.hasher.verify(secret, application.secretHash, caller)) return application
    void deps.evidence.emit({
      zoneId,
      requestId: request.requestId,
      decision: 'deny',
      status: 'client_auth_failed',
      metadata: applicationMetadata(application),
    })
    return failed(request, deps, 'client secret does not match')
  }
  const elsewhere = await findApplicationAnywhere(deps.db, request.applicationId)
  const holdsSecret = await deps.hasher.verify(secret, elsewhere?.client_secret_hash ?? null, caller)
  if (elsewhere !== null && holdsSecret && elsewhere.zone_id !== zoneId) {
    throw zoneInvalid(zoneId, elsewhere.zone_id)
  }
  return failed(request, deps, 'application is not live in the zone')
}

async function failed(request: ExchangeRequest, deps: ExchangeDeps, detail: string): Promise<never> {
  await deps.authFailures.countFailure(request.applicationId)
  throw invalidClient(detail)
}
