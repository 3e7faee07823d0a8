/** `policyStatus` and `simulatePolicy` of an STS in another process (sts §6.8), for the control role. */
import { randomBytes } from 'node:crypto'
import { request } from 'undici'
import type { HmacKey } from '../../platform/keys.ts'
import { nonceHeader, signatureHeader, signGatewayRequest, timestampHeader } from './gateway-signature.ts'
import { type PolicySimulationResult, type PolicyStatus, type Sts, StsUnreachable } from './port.ts'

export interface PolicyOverHttpOptions {
  /** `STS_URL`. */
  readonly url: string
  /** `GATEWAY_STS_HMAC_KEY`. */
  readonly key: HmacKey
  readonly timeoutMs: number
}

/** Rejects with `StsUnreachable` for anything but a decided answer. */
export function policyOverHttp(options: PolicyOverHttpOptions): Pick<Sts, 'policyStatus' | 'simulatePolicy'> {
  const base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`)

  return {
    async policyStatus(zoneId) {
      const path = `${base.pathname}internal/policy/status/${encodeURIComponent(zoneId)}`
      const { status, document } = await call(options, base.origin, 'GET', path, '')
      if (status !== 200) throw new StsUnreachable('invalid_response', `sts answered ${status}`)
      return document as unknown as PolicyStatus
    },
    async simulatePolicy(simulation) {
      const path = `${base.pathname}internal/policy/simulate`
      const { status, document } = await call(options, base.origin, 'POST', path, JSON.stringify(simulation))
      if (status === 200) return { ok: true, ...document } as PolicySimulationResult
      if (status !== 400 && status !== 422) {
        throw new StsUnreachable('invalid_response', `sts answered ${status}`)
      }
      return {
        ok: false,
        status,
        error: status === 400 ? 'invalid_token' : 'policy_eval_failed',
        description: typeof document.error_description === 'string' ? document.error_description : '',
      }
    },
  }
}

async function call(
  options: PolicyOverHttpOptions,
  origin: string,
  method: 'GET' | 'POST',
  path: string,
  body: string,
): Promise<{ status: number; document: Record<string, unknown> }> {
  const deadline = AbortSignal.timeout(options.timeoutMs)
  try {
    const response = await request(`${origin}${path}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        ...signedHeaders(options.key, method, path, body),
      },
      ...(method === 'POST' ? { body } : {}),
      signal: deadline,
    })
    const document: unknown = await response.body.json()
    if (typeof document !== 'object' || document === null) throw new Error('answer is not an object')
    return { status: response.statusCode, document: document as Record<string, unknown> }
  } catch (error) {
    if (deadline.aborted) throw new StsUnreachable('timeout', 'sts timeout')
    throw new StsUnreachable('transport', `sts unavailable (${(error as Error).name})`)
  }
}

function signedHeaders(key: HmacKey, method: string, path: string, body: string): Record<string, string> {
  if (key.current === null) return {}
  const timestamp = String(Math.floor(Date.now() / 1000))
  const nonce = randomBytes(32).toString('hex')
  const parts = { timestamp, nonce, method, path, body: Buffer.from(body, 'utf8') }
  return {
    [timestampHeader]: timestamp,
    [nonceHeader]: nonce,
    [signatureHeader]: signGatewayRequest(key.current, parts),
  }
}
