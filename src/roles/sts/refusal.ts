/**
 * Every answer by which this role refuses, one function per wire code (sts §1.4).
 * The text is public; it names ids the caller sent, never what it could not know.
 */
import { CaracalError } from '../../platform/errors.ts'

interface Extras {
  readonly detail?: string
  readonly cause?: unknown
}

/** What comes from the caller is kept short and plain in the answer. */
export function printable(text: string): string {
  return text.slice(0, 64).replaceAll(/[^\x21-\x7e]/g, '?')
}

export function invalidToken(
  message: string,
  status: 400 | 401 | 403 | 405 | 415 = 400,
  extras: Extras = {},
) {
  return new CaracalError('invalid_token', { status, message, ...extras })
}

export function accessDenied(message: string, status: 401 | 403 | 409 = 403, extras: Extras = {}) {
  return new CaracalError('access_denied', { status, message, ...extras })
}

/** The one answer to every failed client authentication (sts §2.2). */
export function invalidClient(detail: string) {
  return accessDenied('invalid client credentials', 401, { detail })
}

export function zoneInvalid(presented: string, actual: string) {
  return new CaracalError('zone_invalid', {
    status: 403,
    message: `application belongs to zone ${actual}, not to zone ${printable(presented)}`,
  })
}

export function resourceNotFound(message: string) {
  return new CaracalError('resource_not_found', { status: 404, message })
}

export function payloadTooLarge() {
  return new CaracalError('payload_too_large', { status: 413, message: 'request body exceeds 65536 bytes' })
}

export function operationNotPermitted(message: string) {
  return new CaracalError('operation_not_permitted', { status: 403, message })
}

/** Nothing is decided where an evaluation ended in an error (sts §5.4 R9). */
export function policyEvalFailed() {
  return new CaracalError('policy_eval_failed', { status: 503, message: 'policy evaluation failed' })
}

export function rateLimited(remainingMs: number, message = 'rate limit exceeded') {
  return new CaracalError('provider_rate_limited', {
    status: 429,
    message,
    headers: { 'retry-after': String(Math.max(1, Math.ceil(remainingMs / 1000))) },
  })
}

/** Something this decision depends on cannot be asked: store, replay memory, evidence. */
export function unavailable(message: string, cause?: unknown) {
  return new CaracalError('sts_unavailable', { status: 503, message, cause })
}

export function internalError(detail: string, cause?: unknown) {
  return new CaracalError('internal_error', { status: 500, message: 'internal error', detail, cause })
}

/** The upstream credential could not be had; `message` names the resource and the reason, never a secret. */
export function credentialUnavailable(message: string) {
  return new CaracalError('http_request_failed', { status: 502, message })
}

export function credentialNotRenewable(message: string) {
  return new CaracalError('credential_expired_not_renewable', { status: 403, message })
}

export function approvalConsumed() {
  return new CaracalError('approval_consumed', { status: 409, message: 'approval was already used' })
}
