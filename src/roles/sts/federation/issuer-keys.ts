/**
 * Key sets of external issuers (sts §5.6 step 3): fetched through the egress guard,
 * reduced to keys that may verify, kept for 10 minutes and never longer.
 */
import { createPublicKey } from 'node:crypto'
import type { JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import type { EgressGuard } from '../../../platform/egress/guarded-fetch.ts'
import type { SubjectIssuer } from '../store/subject-issuers.ts'

export interface IssuerKeys {
  /** The issuer's usable keys; read again when `kid` is unknown and the set is not brand new. Rejects when there are none. */
  find(issuer: SubjectIssuer, kid: string): Promise<readonly JWK[]>
}

const keptMs = 10 * 60_000
const refetchAfterMs = 30_000
const maxDocumentBytes = 256 * 1024
const fetchTimeoutMs = 5_000

interface KeptSet {
  readonly keys: readonly JWK[]
  readonly readAt: number
}

export function createIssuerKeys(egress: EgressGuard): IssuerKeys {
  const kept = new LRUCache<string, KeptSet>({ max: 1_000, ttl: keptMs })
  const fetching = new Map<string, Promise<KeptSet>>()

  function fetchSet(cacheKey: string, url: string): Promise<KeptSet> {
    const running = fetching.get(cacheKey)
    if (running !== undefined) return running
    const started = readKeySet(egress, url)
      .then((keys) => {
        const set = { keys, readAt: performance.now() }
        kept.set(cacheKey, set)
        return set
      })
      .finally(() => fetching.delete(cacheKey))
    fetching.set(cacheKey, started)
    return started
  }

  return {
    async find(issuer, kid) {
      const cacheKey = `${issuer.id}\0${issuer.jwks_url}`
      const known = kept.get(cacheKey)
      const usable =
        known !== undefined &&
        (known.keys.some((key) => key.kid === kid) || performance.now() - known.readAt < refetchAfterMs)
      return (usable ? known : await fetchSet(cacheKey, issuer.jwks_url)).keys
    },
  }
}

async function readKeySet(egress: EgressGuard, url: string): Promise<JWK[]> {
  const response = await egress.fetch(url, {
    timeoutMs: fetchTimeoutMs,
    maxBytes: maxDocumentBytes,
    headers: { accept: 'application/json' },
  })
  if (response.status !== 200) throw new Error(`key set answered ${response.status}`)
  const document: unknown = JSON.parse(response.body.toString('utf8'))
  const keys = typeof document === 'object' && document !== null && 'keys' in document ? document.keys : null
  const usable = Array.isArray(keys) ? keys.filter(isUsableKey) : []
  if (usable.length === 0) throw new Error('key set holds no usable key')
  return usable
}

const curves = new Set(['P-256', 'P-384', 'P-521'])

/** RSA with a sane exponent or EC on a known curve, with a `kid`, for signatures. */
function isUsableKey(value: unknown): value is JWK {
  if (typeof value !== 'object' || value === null) return false
  const key = value as JWK
  if (typeof key.kid !== 'string' || key.kid === '') return false
  if (key.use !== undefined && key.use !== 'sig') return false
  if (key.kty === 'RSA' ? !saneExponent(key.e) : key.kty !== 'EC' || !curves.has(key.crv ?? '')) return false
  try {
    // Refuses a point that is not on its curve.
    createPublicKey({ key: key as Record<string, unknown> as never, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

function saneExponent(exponent: unknown): boolean {
  if (typeof exponent !== 'string') return false
  const bytes = Buffer.from(exponent, 'base64url')
  if (bytes.length === 0 || bytes.length > 4) return false
  const value = bytes.readUIntBE(0, bytes.length)
  return value >= 3 && value <= 0x7fffffff
}
