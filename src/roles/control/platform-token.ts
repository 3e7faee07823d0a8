/**
 * Login tokens of service accounts (control-api §12.3): ES256 under a key of the
 * deployment, for the management API only. `aud` and `use` keep them apart from every
 * mandate; the STS never accepts one, and no mandate is accepted here.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { EnvelopeCipher } from '../../platform/crypto/port.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import type { Database } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv4, uuidv7 } from '../../platform/ids.ts'
import { createSigner, parseCompact, type Signer, verifySignature } from '../../platform/jose/compact.ts'
import { generateSigningKeyPem, openSigningKey } from '../../platform/jose/zone-key.ts'
import {
  insertPlatformKey,
  listPlatformKeys,
  lockPlatformKeys,
  type PlatformKey,
} from './store/platform-keys.ts'

const PLATFORM_AUDIENCE = 'caracal-api'
const KEYS_MS = 5 * 60_000

interface PlatformClaims {
  readonly sub: string
  readonly jti: string
  readonly exp: number
  readonly tv: number
}

export interface PlatformTokens {
  /** `null` when the text is no login token of this deployment, or no longer one. */
  verify(token: string): Promise<PlatformClaims | null>
  issue(account: {
    readonly id: string
    readonly username: string
    readonly zoneId: string | null
    readonly tokenVersion: number
    readonly ttlSeconds: number
  }): Promise<string>
}

interface LoadedKeys {
  readonly signer: Signer
  readonly verifying: ReadonlyMap<string, KeyObject>
  readonly until: number
}

/** True for text that could only be meant as a JWT. */
export function looksLikeJwt(token: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token)
}

/** Without a cipher no key can be kept: nothing verifies and nobody can log in. */
export function createPlatformTokens(deps: {
  readonly db: Database
  readonly cipher: EnvelopeCipher | null
  readonly issuer: string
}): PlatformTokens {
  const { cipher } = deps
  return cipher === null ? noTokens : withKeys({ ...deps, cipher })
}

const noTokens: PlatformTokens = {
  verify: async () => null,
  issue: () => Promise.reject(errorOf('service_unconfigured')),
}

function withKeys(deps: {
  readonly db: Database
  readonly cipher: EnvelopeCipher
  readonly issuer: string
}): PlatformTokens {
  let loading: Promise<LoadedKeys> | null = null

  async function ensureKeys(): Promise<PlatformKey[]> {
    const existing = await listPlatformKeys(deps.db)
    if (existing.length > 0) return existing
    return deps.db.transaction(async (tx) => {
      await lockPlatformKeys(tx)
      const made = await listPlatformKeys(tx)
      if (made.length > 0) return made
      const envelope = deps.cipher.seal(Buffer.from(generateSigningKeyPem()), columnAad.platformSigningKey)
      const key = { id: uuidv7(), envelope, version: 1 }
      await insertPlatformKey(tx, key)
      return [key]
    })
  }

  async function load(): Promise<LoadedKeys> {
    const rows = await ensureKeys()
    const opened = rows.map((row) => ({
      id: row.id,
      key: openSigningKey(deps.cipher.open(row.envelope, columnAad.platformSigningKey).toString('utf8')),
    }))
    const [newest] = opened
    if (newest === undefined) throw new Error('no platform signing key')
    return {
      signer: createSigner(newest.id, newest.key),
      verifying: new Map(opened.map(({ id, key }) => [id, createPublicKey(key)])),
      until: Date.now() + KEYS_MS,
    }
  }

  async function keys(): Promise<LoadedKeys> {
    const current = await loading
    if (current !== null && current.until > Date.now()) return current
    loading = load()
    // A failed load is not kept: the next call tries again.
    loading.catch(() => {
      loading = null
    })
    return loading
  }

  return {
    async verify(token) {
      const jws = parseCompact(token)
      if (jws === null || jws.header.alg !== 'ES256' || jws.claims.aud !== PLATFORM_AUDIENCE) return null
      const key = (await keys()).verifying.get(jws.header.kid)
      if (key === undefined || !verifySignature(jws, key)) return null
      const { iss, use, sub, jti, exp, tv } = jws.claims
      const intact =
        iss === deps.issuer &&
        use === 'admin' &&
        typeof sub === 'string' &&
        typeof jti === 'string' &&
        typeof exp === 'number' &&
        typeof tv === 'number'
      return intact && exp > Date.now() / 1000 ? { sub, jti, exp, tv } : null
    },
    async issue(account) {
      const now = Math.floor(Date.now() / 1000)
      return (await keys()).signer.sign({
        iss: deps.issuer,
        aud: PLATFORM_AUDIENCE,
        sub: account.id,
        jti: uuidv4(),
        iat: now,
        exp: now + account.ttlSeconds,
        use: 'admin',
        username: account.username,
        zone_id: account.zoneId,
        tv: account.tokenVersion,
      })
    },
  }
}
