/**
 * How an error looks on the wire, per surface. The error itself is always a
 * `CaracalError`; a style only chooses the members of the body.
 */
import type { CaracalError } from '../errors.ts'

type ErrorBody = Readonly<Record<string, unknown>>

export type ErrorStyle = (error: CaracalError, requestId: string) => ErrorBody

/** STS and gateway: `{"error","error_description","requestId"}` (sts §1.4, gateway §2). */
export const oauthErrors: ErrorStyle = (error, requestId) => ({
  error: error.code,
  ...(error.message === '' ? {} : { error_description: error.message }),
  ...(requestId === '' ? {} : { requestId }),
  ...error.body,
})

/** Control `/v1`: the same members, `details` where the thrower gave them (control-api §2.5). */
export const controlErrors: ErrorStyle = (error, requestId) => oauthErrors(error, requestId)

const coordinatorEnvelopes: ReadonlySet<string> = new Set([
  'invalid_body',
  'internal_error',
  'payload_too_large',
  'unsupported_media_type',
  'sts_unavailable',
  'service_unavailable',
])
const coordinatorMessages: ReadonlySet<string> = new Set([
  'audit_unavailable',
  'idempotency_key_invalid',
  'idempotency_key_multiple',
])

/**
 * Coordinator (coordinator §1.1): a bare `{"error"}` for route-level rejections, `message` for
 * idempotency and audit failures, the full envelope for bodies and failures of our own.
 */
export const coordinatorErrors: ErrorStyle = (error, requestId) => {
  if (coordinatorEnvelopes.has(error.code)) {
    return {
      error: error.code,
      error_description: error.message,
      requestId,
      request_id: requestId,
      ...error.body,
    }
  }
  if (coordinatorMessages.has(error.code)) {
    return { error: error.code, message: error.message, request_id: requestId, ...error.body }
  }
  return { error: error.code, ...error.body }
}

/** What the Control envelope calls an error of the HTTP layer (control-api §9.4). */
const invokeCodes: Readonly<Record<string, string>> = {
  invalid_body: 'invalid',
  unsupported_media_type: 'invalid',
  internal_error: 'upstream',
}

/** Control invoke: `{"ok":false,"error":{"code","reason","remediation?"}}` (control-api §9). */
export const controlInvokeErrors: ErrorStyle = (error) => ({
  ok: false,
  error: { code: invokeCodes[error.code] ?? error.code, reason: error.message, ...error.body },
})

/** Audit operator surface: a bare code with a description. */
export const auditErrors: ErrorStyle = (error, requestId) => oauthErrors(error, requestId)
