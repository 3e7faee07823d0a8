/**
 * A Control token for an operator (sdk-cli-console §13.2). Whoever asks may reveal the key's secret and mint
 * with it; here the custody copy goes to the STS's public token endpoint instead, where the key proves itself
 * as it always does. So nothing is granted that the key's traits do not grant, and the secret stays in the
 * server. The STS records the mint under the request id that the administrative ledger has with the operator.
 */
import type { CaracalError } from '../../../platform/errors.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { type Control, reading } from '../control.ts'
import { applicationSecretRef, readSecret } from '../custody.ts'
import { found } from '../not-found.ts'
import { findApplication } from '../store/applications.ts'

const TIMEOUT_MS = 15_000
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

interface ControlTokenRequest {
  readonly zoneId: string
  readonly applicationId: string
  readonly scopes: readonly string[]
  readonly ttlSeconds?: number | undefined
  readonly requestId: string
  readonly signal: AbortSignal
}

const issued = v.object({
  access_token: v.string(),
  token_type: v.string(),
  expires_in: v.number(),
  scope: v.optional(v.string()),
})
type IssuedControlToken = v.InferOutput<typeof issued>

const refusal = v.object({ error: v.string(), error_description: v.optional(v.string()) })

/**
 * Throws 404 `application_not_found`, `client_secret_not_stored`; 400 `control_key_required`;
 * 403 `control_token_refused`; 429; 502 `secret_backend_unavailable`; 503 `sts_unavailable`.
 */
export async function issueControlToken(
  control: Control,
  request: ControlTokenRequest,
): Promise<IssuedControlToken> {
  const { zoneId, applicationId } = request
  const application = found(
    await reading(control, { scope: { zone: zoneId } }, (db) => findApplication(db, zoneId, applicationId)),
    'application_not_found',
  )
  if (!application.traits.includes('control:invoke')) throw errorOf('control_key_required')
  const secret = await readSecret(control, control.db, applicationSecretRef(zoneId, applicationId))
  if (secret === null) throw errorOf('client_secret_not_stored')
  const answer = await ask(control, request, secret)
  const body: unknown = await answer.json().catch(() => null)
  if (!answer.ok) throw refused(answer, body)
  const token = v.safeParse(issued, body)
  if (!token.success) throw errorOf('sts_unavailable', { detail: 'the token answer is not valid' })
  return token.output
}

async function ask(control: Control, request: ControlTokenRequest, secret: string): Promise<Response> {
  const { stsDoor, settings } = control
  if (stsDoor === null) throw errorOf('service_unconfigured', { detail: 'STS_URL is not set' })
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    zone_id: request.zoneId,
    application_id: request.applicationId,
    client_secret: secret,
    resource: settings.CONTROL_AUDIENCE,
    scope: request.scopes.join(' '),
  })
  if (request.ttlSeconds !== undefined) form.set('ttl_seconds', String(request.ttlSeconds))
  try {
    return await stsDoor(
      new Request(new URL('/oauth/2/token', settings.STS_URL ?? 'http://sts'), {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-request-id': request.requestId,
        },
        body: form.toString(),
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      }),
    )
  } catch (cause) {
    throw errorOf('sts_unavailable', { cause })
  }
}

/** The STS's own codes speak of the key; here they would be read as said of the operator. */
function refused(answer: Response, body: unknown): CaracalError {
  const told = v.safeParse(refusal, body)
  const reason = told.success ? (told.output.error_description ?? told.output.error) : ''
  if (answer.status === 429) {
    const wait = answer.headers.get('retry-after')
    return errorOf('rate_limited', wait === null ? {} : { headers: { 'retry-after': wait } })
  }
  if (answer.status >= 500) return errorOf('sts_unavailable', { detail: reason })
  return errorOf('control_token_refused', {
    body: { details: { reason } },
    detail: `${answer.status} ${reason}`,
  })
}
