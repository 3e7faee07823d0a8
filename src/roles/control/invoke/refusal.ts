/** How Control invoke says no (control-api §9.4): its own codes, its own envelope, one reason for the evidence. */
import { CaracalError } from '../../../platform/errors.ts'

export type InvokeCode =
  | 'control_disabled'
  | 'rate_limited'
  | 'unauthorized'
  | 'token_replay'
  | 'denied'
  | 'invalid'
  | 'not_found'
  | 'conflict'
  | 'zone_mismatch'
  | 'unsupported'
  | 'upstream'
  | 'audit_unavailable'

const statuses: Readonly<Record<InvokeCode, number>> = {
  control_disabled: 503,
  rate_limited: 429,
  unauthorized: 401,
  token_replay: 401,
  denied: 403,
  invalid: 400,
  not_found: 404,
  conflict: 409,
  zone_mismatch: 409,
  unsupported: 501,
  upstream: 502,
  audit_unavailable: 500,
}

/** `evidence` is what the audit event records when it should say more than the caller is told. */
export function refuse(
  code: InvokeCode,
  reason: string,
  options: {
    readonly remediation?: string
    readonly evidence?: string
    readonly cause?: unknown
    readonly headers?: Readonly<Record<string, string>>
  } = {},
): CaracalError {
  return new CaracalError(code, {
    status: statuses[code],
    message: reason,
    ...(options.evidence === undefined ? {} : { detail: options.evidence }),
    ...(options.remediation === undefined ? {} : { body: { remediation: options.remediation } }),
    ...(options.cause === undefined ? {} : { cause: options.cause }),
    ...(options.headers === undefined ? {} : { headers: options.headers }),
  })
}

/** Codes a management answer becomes. */
export function invokeCodeOf(status: number): InvokeCode {
  if (status === 400 || status === 422) return 'invalid'
  if (status === 403) return 'denied'
  if (status === 404) return 'not_found'
  return status === 409 ? 'conflict' : 'upstream'
}
