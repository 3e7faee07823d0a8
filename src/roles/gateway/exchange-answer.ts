/** What an STS answer over HTTP means (gateway §4 step 15, §9.2). */

import { STATUS_CODES } from 'node:http'
import { asJsonObject } from '../../platform/json.ts'
import { type GatewayExchangeResult, StsUnreachable, type UpstreamDirective } from '../sts/port.ts'
import type { StsAnswer } from './sts-client.ts'

/** Rejects a 200 that is not a usable grant as `invalid_response`. */
export function readExchangeAnswer(answer: StsAnswer): GatewayExchangeResult {
  const { document } = answer
  if (answer.status !== 200) return refused(answer)
  const token = document?.access_token
  const json = answer.mediaType === 'application/json' || answer.mediaType.endsWith('+json')
  if (!json || document === null || typeof token !== 'string' || token === '') throw invalidAnswer()
  const directives: [string, UpstreamDirective][] = []
  for (const [resource, value] of Object.entries(asJsonObject(document.upstreams) ?? {})) {
    const directive = readDirective(value)
    if (directive !== null) directives.push([resource, directive])
  }
  return {
    ok: true,
    accessToken: () => token,
    expiresIn: typeof document.expires_in === 'number' ? document.expires_in : 0,
    ...(typeof document.scope === 'string' ? { scope: document.scope } : {}),
    targetResources: texts(document.target_resources) ?? [],
    upstreams: Object.fromEntries(directives),
  }
}

export const invalidAnswer = (): StsUnreachable =>
  new StsUnreachable('invalid_response', 'sts response invalid')

/** Members of a refusal that a gateway caller may see besides code and description. */
const forwarded = ['approval_id', 'approval_type', 'state', 'tier', 'binding', 'approval_expires_at']

function refused({ status, document, retryAfter }: StsAnswer): GatewayExchangeResult {
  const error = document?.error
  if (typeof error !== 'string' || error === '') {
    return { ok: false, status, error: 'sts_unavailable', description: STATUS_CODES[status] ?? '' }
  }
  const details = Object.fromEntries(
    forwarded.filter((name) => document?.[name] !== undefined).map((name) => [name, document?.[name]]),
  )
  const description = document?.error_description
  return {
    ok: false,
    status,
    error,
    description: typeof description === 'string' ? description : '',
    ...(Object.keys(details).length === 0 ? {} : { details }),
    ...(/^\d{1,9}$/.test(retryAfter) ? { retryAfterSeconds: Number(retryAfter) } : {}),
  }
}

/** `null` when a member has the wrong type: a credential must never be placed by guess. */
function readDirective(value: unknown): UpstreamDirective | null {
  const raw = asJsonObject(value)
  if (raw === null || typeof raw.url !== 'string' || typeof raw.auth_mode !== 'string') return null
  for (const name of optionalTexts) {
    if (raw[name] !== undefined && typeof raw[name] !== 'string') return null
  }
  if (raw.allowed_token_hosts !== undefined && texts(raw.allowed_token_hosts) === null) return null
  for (const name of optionalSwitches) {
    if (raw[name] !== undefined && typeof raw[name] !== 'boolean') return null
  }
  return raw as unknown as UpstreamDirective
}

const optionalTexts = [
  'auth_location',
  'auth_header',
  'query_param_name',
  'auth_scheme',
  'provider_token',
  'provider_id',
  'connection_id',
]

const optionalSwitches = ['forward_caracal_identity', 'transport_uniform']

const texts = (value: unknown): string[] | null =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null
