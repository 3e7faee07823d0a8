/**
 * The STS of another process behind the same port (gateway §9): the signed exchange,
 * the JWKS document and the health check over HTTP. Redirects are never followed and
 * nothing is retried.
 */
import { STATUS_CODES } from 'node:http'
import { Pool } from 'undici'
import { fetchJwks } from '../../platform/jose/key-set.ts'
import type { HmacKey } from '../../platform/keys.ts'
import {
  type GatewayExchangeRequest,
  type GatewayExchangeResult,
  StsUnreachable,
  type UpstreamDirective,
} from '../sts/port.ts'
import type { GatewaySts } from './gateway-sts.ts'
import { envelopeHeaders } from './signed-exchange.ts'

export interface StsOverHttpOptions {
  /** `STS_URL`. */
  readonly url: string
  /** `GATEWAY_STS_HMAC_KEY`. */
  readonly key: HmacKey
  /** `STS_TIMEOUT` in milliseconds: exchange and key document. */
  readonly timeoutMs: number
}

const maxAnswerBytes = 16 * 1024
const connections = 200
const idleMs = 90_000
const healthTimeoutMs = 2000

/** An `Sts` over HTTP; disposing it closes its connections. */
export function stsOverHttp(options: StsOverHttpOptions): GatewaySts & AsyncDisposable {
  const base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`)
  const tokenPath = `${base.pathname}oauth/2/token`
  const pool = new Pool(base.origin, {
    connections,
    pipelining: 1,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    connect: { timeout: options.timeoutMs },
  })

  return {
    async exchangeForGateway(request, signal) {
      const body = exchangeForm(request)
      const answer = await send(pool, tokenPath, body, request, options, signal)
      return readAnswer(answer)
    },
    async zoneKeys(zoneId) {
      return fetchJwks(options.url, zoneId, options.timeoutMs)
    },
    async ping() {
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: `${base.pathname}health`,
        signal: AbortSignal.timeout(healthTimeoutMs),
      })
      await body.dump()
      if (statusCode < 200 || statusCode > 299) throw new Error(`sts health answered ${statusCode}`)
    },
    async [Symbol.asyncDispose]() {
      await pool.destroy()
    },
  }
}

/** Exactly the parameters of gateway §9.1. */
function exchangeForm(request: GatewayExchangeRequest): string {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    zone_id: request.zoneId,
    application_id: request.applicationId,
    subject_token: request.mandate,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: request.resource,
    request_method: request.method,
    request_path: request.path,
    gateway_request_id: request.requestId,
  }).toString()
}

interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly retryAfter: string
  /** `null` when it exceeded the limit. */
  readonly text: string | null
}

async function send(
  pool: Pool,
  path: string,
  body: string,
  request: GatewayExchangeRequest,
  options: StsOverHttpOptions,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(options.timeoutMs)
  try {
    const response = await pool.request({
      method: 'POST',
      path,
      body,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
        'User-Agent': 'caracal-gateway',
        'X-Request-Id': request.requestId,
        ...(request.traceparent === undefined ? {} : { Traceparent: request.traceparent }),
        ...envelopeHeaders(options.key.current, 'POST', path, body),
      },
      signal: AbortSignal.any([signal, deadline]),
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length
      // Leaving the loop destroys the body and with it the connection.
      if (size > maxAnswerBytes) break
      chunks.push(chunk)
    }
    return {
      status: response.statusCode,
      contentType: single(response.headers['content-type']),
      retryAfter: single(response.headers['retry-after']),
      text: size > maxAnswerBytes ? null : Buffer.concat(chunks).toString('utf8'),
    }
  } catch (error) {
    throw unreachable(error, signal, deadline)
  }
}

const single = (header: string | string[] | undefined): string =>
  (Array.isArray(header) ? header[0] : header) ?? ''

const timeoutCodes = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

function unreachable(error: unknown, signal: AbortSignal, deadline: AbortSignal): StsUnreachable {
  if (signal.aborted) return new StsUnreachable('cancelled', 'caller left')
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (deadline.aborted || timeoutCodes.has(code)) return new StsUnreachable('timeout', 'sts timeout')
  return new StsUnreachable('transport', `sts unavailable (${code})`)
}

function readAnswer(answer: HttpAnswer): GatewayExchangeResult {
  const document = parseObject(answer.text)
  if (answer.status !== 200) return refused(answer, document)
  const media = answer.contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (media !== 'application/json' && !media.endsWith('+json')) throw invalid()
  const token = document?.access_token
  if (document === null || typeof token !== 'string' || token === '') throw invalid()
  const upstreams = asObject(document.upstreams) ?? {}
  const directives: Record<string, UpstreamDirective> = {}
  for (const [resource, value] of Object.entries(upstreams)) {
    const directive = asObject(value)
    if (directive !== null && typeof directive.url === 'string') {
      directives[resource] = directive as unknown as UpstreamDirective
    }
  }
  return {
    ok: true,
    accessToken: token,
    expiresIn: typeof document.expires_in === 'number' ? document.expires_in : 0,
    ...(typeof document.scope === 'string' ? { scope: document.scope } : {}),
    targetResources: Array.isArray(document.target_resources)
      ? document.target_resources.filter((one) => typeof one === 'string')
      : [],
    upstreams: directives,
  }
}

const invalid = (): StsUnreachable => new StsUnreachable('invalid_response', 'sts response invalid')

/** Members of a refusal that a gateway caller may see besides code and description (gateway §4). */
const forwarded = ['approval_id', 'approval_type', 'state', 'tier', 'binding', 'approval_expires_at'] as const

function refused(answer: HttpAnswer, document: Record<string, unknown> | null): GatewayExchangeResult {
  const error = document?.error
  if (typeof error !== 'string' || error === '') {
    return {
      ok: false,
      status: answer.status,
      error: 'sts_unavailable',
      description: STATUS_CODES[answer.status] ?? '',
    }
  }
  const details: Record<string, unknown> = {}
  for (const name of forwarded) if (document?.[name] !== undefined) details[name] = document[name]
  const retryAfter = Number(answer.retryAfter)
  return {
    ok: false,
    status: answer.status,
    error,
    description: typeof document?.error_description === 'string' ? document.error_description : '',
    ...(Object.keys(details).length === 0 ? {} : { details }),
    ...(answer.retryAfter !== '' && Number.isSafeInteger(retryAfter)
      ? { retryAfterSeconds: retryAfter }
      : {}),
  }
}

function parseObject(text: string | null): Record<string, unknown> | null {
  if (text === null) return null
  try {
    return asObject(JSON.parse(text))
  } catch {
    return null
  }
}

const asObject = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
