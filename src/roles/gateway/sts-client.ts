/** One signed call to the STS of another process: no redirects, no retries, a bounded answer, one deadline over all. */

import { Pool } from 'undici'
import { parseJsonObject } from '../../platform/json.ts'
import type { HmacKey } from '../../platform/keys.ts'
import { StsUnreachable } from '../sts/port.ts'
import { envelopeHeaders } from './signed-exchange.ts'

export interface StsClientOptions {
  /** `STS_URL`. */
  readonly url: string
  /** `GATEWAY_STS_HMAC_KEY`. */
  readonly key: HmacKey
  /** `STS_TIMEOUT` in milliseconds. */
  readonly timeoutMs: number
}

interface StsCall {
  readonly method: 'GET' | 'POST'
  /** Below the base URL, without a leading slash. */
  readonly path: string
  /** Exactly what is signed and sent. */
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly maxAnswerBytes: number
  readonly signal?: AbortSignal
}

export interface StsAnswer {
  readonly status: number
  /** Lower case, without parameters. */
  readonly mediaType: string
  readonly retryAfter: string
  /** The body as a JSON object; `null` when it is none or exceeds the limit. */
  readonly document: Readonly<Record<string, unknown>> | null
}

export interface StsClient extends AsyncDisposable {
  /** Rejects only with `StsUnreachable`. */
  send(call: StsCall): Promise<StsAnswer>
}

const connections = 200
const idleMs = 90_000

export function createStsClient(options: StsClientOptions): StsClient {
  const base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`)
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
    async send(call) {
      const path = `${base.pathname}${call.path}`
      const deadline = AbortSignal.timeout(options.timeoutMs)
      try {
        const response = await pool.request({
          method: call.method,
          path,
          body: call.body === '' ? null : call.body,
          headers: {
            'User-Agent': 'caracal-gateway',
            Accept: 'application/json',
            ...call.headers,
            ...envelopeHeaders(options.key.current, call.method, path, call.body),
          },
          signal: call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline]),
        })
        return {
          status: response.statusCode,
          mediaType: single(response.headers['content-type']).split(';', 1)[0]?.trim().toLowerCase() ?? '',
          retryAfter: single(response.headers['retry-after']),
          document: parseJsonObject((await readBounded(response.body, call.maxAnswerBytes)) ?? ''),
        }
      } catch (error) {
        throw unreachable(error, call.signal, deadline)
      }
    },
    async [Symbol.asyncDispose]() {
      await pool.destroy()
    },
  }
}

/** The text, or `null` past the limit; leaving the loop destroys the body and with it the connection. */
async function readBounded(body: AsyncIterable<Buffer>, limit: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const single = (header: string | string[] | undefined): string =>
  (Array.isArray(header) ? header[0] : header) ?? ''

const timeoutCodes = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

function unreachable(error: unknown, caller: AbortSignal | undefined, deadline: AbortSignal): StsUnreachable {
  if (caller?.aborted === true) return new StsUnreachable('cancelled', 'caller left')
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (deadline.aborted || timeoutCodes.has(code)) return new StsUnreachable('timeout', 'sts timeout')
  return new StsUnreachable('transport', `sts unavailable (${code})`)
}
