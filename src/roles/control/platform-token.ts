/**
 * Login tokens of service accounts (control-api §12.3): ES256 under a key of the
 * deployment, for the management API only. `aud` and `use` keep them apart from every
 * mandate; the STS never accepts one, and no mandate is accepted here.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { EnvelopeCipher } from '../../platform/crypto/port.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import type { Database, Tx } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv4, uuidv7 } from '../../platform/ids.ts'
import { createSigner, parseCompact, type Signer, verifySignature } from '../../platform/jose/compact.ts'
import {
  generateSigningKeyPem,
  openSigningKey,
  type PublicSigningKey,
  publicJwk,
} from '../../platform/jose/zone-key.ts'
import {
  deleteOtherPlatformKeys,
  insertPlatformKey,
  listPlatformKeys,
  lockPlatformKeys,
  type PlatformKey,
} from './store/platform-keys.ts'

const PLATFORM_AUDIENCE = 'caracal-api'
/** A rotation is told to every process; this bounds what a lost message costs. */
const KEYS_MS = 60_000
/** A key nobody knows is looked for at most this often. */
const UNKNOWN_KEY_MS = 2000

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
  /** The public halves of the keys that may verify, newest first. */
  published(): Promise<readonly PublicSigningKey[]>
  /** Adds the key that signs from now on, in `tx`; its predecessors verify for 24 hours more, or no longer when `immediate`. */
  rotate(tx: Tx, immediate: boolean): Promise<{ readonly kid: string }>
  /** Has the keys read again before they are next used. */
  forget(): void
}

interface LoadedKeys {
  readonly signer: Signer
  readonly verifying: ReadonlyMap<string, KeyObject>
  readonly published: readonly PublicSigningKey[]
  readonly readAt: number
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
  published: async () => [],
  rotate: () => Promise.reject(errorOf('service_unconfigured')),
  forget: () => undefined,
}

function withKeys(deps: {
  readonly db: Database
  readonly cipher: EnvelopeCipher
  readonly issuer: string
}): PlatformTokens {
  let loading: Promise<LoadedKeys> | null = null

  const sealedKey = () => ({
    id: uuidv7(),
    envelope: deps.cipher.seal(Buffer.from(generateSigningKeyPem()), columnAad.platformSigningKey),
  })

  async function ensureKeys(): Promise<PlatformKey[]> {
    const existing = await listPlatformKeys(deps.db)
    if (existing.length > 0) return existing
    return deps.db.transaction(async (tx) => {
      await lockPlatformKeys(tx)
      const made = await listPlatformKeys(tx)
      if (made.length > 0) return made
      return [await insertPlatformKey(tx, sealedKey())]
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
      published: opened.map(({ id, key }) => publicJwk(id, key)),
      readAt: performance.now(),
    }
  }

  async function keys(maxAgeMs = KEYS_MS): Promise<LoadedKeys> {
    const current = await loading
    if (current !== null && performance.now() - current.readAt < maxAgeMs) return current
    const started = load()
    loading = started
    // A failed load is not kept: the next call tries again.
    started.catch(() => {
      if (loading === started) loading = null
    })
    return started
  }

  /** Another process may have rotated a moment ago. */
  async function keyOf(kid: string): Promise<KeyObject | undefined> {
    return (await keys()).verifying.get(kid) ?? (await keys(UNKNOWN_KEY_MS)).verifying.get(kid)
  }

  return {
    async verify(token) {
      const jws = parseCompact(token)
      if (jws === null || jws.header.alg !== 'ES256' || jws.claims.aud !== PLATFORM_AUDIENCE) return null
      const key = await keyOf(jws.header.kid)
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
    published: async () => (await keys()).published,
    async rotate(tx, immediate) {
      await lockPlatformKeys(tx)
      const { id } = await insertPlatformKey(tx, sealedKey())
      if (immediate) await deleteOtherPlatformKeys(tx, id)
      return { kid: id }
    },
    forget() {
      loading = null
    },
  }
}
