/** Reads the STS's answers strictly: anything unexpected is an error, never a token (sdk-cli-console §5.1). */
import { ApprovalRequiredError, CaracalError } from '../errors.ts'
import { failureOf } from '../network-failure.ts'
import { jsonObject, textMember } from '../read-body.ts'
import type { Mandate } from './token-cache.ts'

const known = new Set(['error', 'error_description', 'requestId'])

/** The mandate of a 2xx answer. Throws `CaracalError` `invalid_response`. */
export function mandateOf(response: Response, text: string): Mandate {
  const invalid = (what: string) =>
    new CaracalError('invalid_response', `STS answered ${response.status} with ${what}`, {
      httpStatus: response.status,
      requestId: response.headers.get('x-request-id') ?? undefined,
    })
  const type = (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json'))
    throw invalid('another content type than JSON')
  const body = jsonObject(text)
  if (body === null) throw invalid('a body that is not a JSON object')
  const { access_token: token, token_type: kind, expires_in: life, target_resources: targets } = body
  if (typeof token !== 'string' || token === '') throw invalid('no access_token')
  if (kind !== undefined && kind !== 'Bearer') throw invalid('a token_type other than Bearer')
  if (typeof life !== 'number' || !Number.isInteger(life) || life <= 0)
    throw invalid('an expires_in that is not a positive integer')
  if (targets !== undefined && !(Array.isArray(targets) && targets.every((one) => typeof one === 'string')))
    throw invalid('target_resources that are not a list of strings')
  return {
    accessToken: token,
    expiresInSeconds: life,
    scope: textMember(body.scope),
    targetResources: targets as string[] | undefined,
  }
}

/** The error of a request that got no answer. */
export function stsUnavailable(cause: unknown): CaracalError {
  return new CaracalError('sts_unavailable', `STS cannot be reached: ${failureOf(cause)}`, { cause })
}

/** The error of an answer outside 2xx. */
export function stsError(response: Response, text: string, resource = ''): CaracalError {
  const { status } = response
  const body = text === '' ? {} : jsonObject(text)
  const requestId =
    textMember(body?.requestId) ?? textMember(body?.request_id) ?? response.headers.get('x-request-id')
  const facts = { httpStatus: status, requestId: requestId ?? undefined }
  if (body === null)
    return new CaracalError('sts_error', `STS error ${status}: invalid error response`, facts)
  const code = textMember(body.error) ?? 'sts_error'
  const message = textMember(body.error_description) ?? `STS error ${status}`
  const approvalId = textMember(body.approval_id)
  const others = Object.entries(body).filter(([name]) => !known.has(name))
  const details = others.length === 0 ? undefined : Object.fromEntries(others)
  if (status === 401 && code === 'interaction_required' && approvalId !== undefined)
    return new ApprovalRequiredError(
      message,
      {
        approvalId,
        resource,
        state: textMember(body.state) ?? 'pending',
        tier: textMember(body.tier),
        binding: textMember(body.binding) ?? '',
        expiresAt: textMember(body.approval_expires_at),
      },
      { ...facts, details },
    )
  return new CaracalError(code, message, { ...facts, details })
}
