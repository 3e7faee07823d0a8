/**
 * The one module that writes and verifies stored credentials (storage-and-operations §9.3).
 *
 *   hmac-sha256$<keyId>$<mac>          secrets the server made (256 random bits): a keyed fast hash
 *   scrypt$<N>$<r>$<p>$<salt>$<hash>   secrets a person chose
 *
 * Anything else never verifies. The credential key is random, made once per
 * deployment and kept only as an envelope in `credential_keys`.
 */

import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { lockMigrations } from '../db/advisory-locks.ts'
import type { Database, Queryable } from '../db/port.ts'
import { createDerivationQueue, type ScryptParameters } from './derivation-queue.ts'
import type { Caller, CredentialHasher, EnvelopeCipher } from './port.ts'

export const credentialKeyAad = 'caracal/credentialKey'
const keyBytes = 32
const saltBytes = 16

const written: ScryptParameters = { cost: 32_768, blockSize: 8, parallelization: 1 }

interface StoredScrypt extends ScryptParameters {
  readonly salt: Buffer
  readonly derived: Buffer
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '')
}

/** Standard base64 without padding, exactly `length` bytes, in its only spelling; else null. */
function decodeUnpadded(text: string, length: number): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === length && unpadded(bytes) === text ? bytes : null
}

/** Bounds keep a tampered row from asking for gigabytes; `maxmem` would refuse the rest anyway. */
function parseScrypt(stored: string): StoredScrypt | null {
  const match = /^scrypt\$(\d{1,6})\$(\d{1,2})\$(\d{1,2})\$([^$]+)\$([^$]+)$/.exec(stored)
  if (!match) return null
  const [cost, blockSize, parallelization] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const costIsPowerOfTwo = cost >= 1024 && cost <= 65_536 && (cost & (cost - 1)) === 0
  if (!costIsPowerOfTwo || blockSize < 1 || blockSize > 8 || parallelization < 1 || parallelization > 4)
    return null
  const salt = decodeUnpadded(match[4] as string, saltBytes)
  const derived = decodeUnpadded(match[5] as string, keyBytes)
  return salt && derived ? { cost, blockSize, parallelization, salt, derived } : null
}

/** `keyId` of a credential key: first 16 lower-case hex characters of its SHA-256. */
function credentialKeyId(credentialKey: Uint8Array): string {
  return hash('sha256', credentialKey, 'hex').slice(0, 16)
}

export interface CredentialHasherOptions {
  /** 32 bytes from `loadCredentialKey`; `null` in a process without a KEK, which can then check only `scrypt$` strings. */
  readonly credentialKey: Buffer | null
  /** `STS_SECRET_VERIFY_CONCURRENCY` */
  readonly concurrency: number
}

interface Flight {
  readonly outcome: Promise<boolean>
  callers: number
  readonly abandon: () => void
}

/** `work`, or a rejection with the signal's reason as soon as it aborts (then `onLeave` ran). */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, onLeave: () => void): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      onLeave()
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

/** The hasher of one process. Successful scrypt checks are remembered for an hour, by stored string. */
export function createCredentialHasher(options: CredentialHasherOptions): CredentialHasher {
  const queue = createDerivationQueue(options.concurrency)
  const key = options.credentialKey
  const prefix = key === null ? null : `hmac-sha256$${credentialKeyId(key)}$`
  const verified = new LRUCache<string, Buffer>({ max: 8192, ttl: 60 * 60 * 1000 })
  const flights = new Map<string, Flight>()
  const equaliser = randomBytes(saltBytes)
  /** Keeps the cost of an unverifiable string where there is no credential key. */
  const decoy = key ?? randomBytes(keyBytes)

  const mac = (secret: string): Buffer => createHmac('sha256', decoy).update(secret, 'utf8').digest()

  function requireKey(): string {
    if (prefix === null)
      throw new Error('this process has no credential key (SECRET_STORE_KEK is not configured)')
    return prefix
  }

  async function derivesTo(presented: string, stored: StoredScrypt, signal?: AbortSignal): Promise<boolean> {
    const derived = await queue.derive(presented, stored.salt, stored, signal)
    return timingSafeEqual(derived, stored.derived)
  }

  /** One derivation for everyone who presents the same secret for the same stored string; abandoned when all have left. */
  function flightFor(presented: string, text: string, stored: StoredScrypt, digest: Buffer): Flight {
    const id = `${text}\n${digest.toString('base64')}`
    const existing = flights.get(id)
    if (existing) return existing
    const abandoned = new AbortController()
    const forget = (): void => {
      // A later caller may have started anew under the same id.
      if (flights.get(id) === flight) flights.delete(id)
    }
    const flight: Flight = {
      outcome: derivesTo(presented, stored, abandoned.signal)
        .then((matches) => {
          if (matches) verified.set(text, digest)
          return matches
        })
        .finally(forget),
      callers: 0,
      abandon: () => {
        forget()
        abandoned.abort()
      },
    }
    // Everyone may have left; then nobody is there to hear of the abort.
    flight.outcome.catch(() => {})
    flights.set(id, flight)
    return flight
  }

  async function verifyScrypt(presented: string, text: string, caller?: Caller): Promise<boolean> {
    const stored = parseScrypt(text)
    if (stored === null) {
      mac(presented)
      return false
    }
    const digest = hash('sha256', presented, 'buffer')
    const known = verified.get(text)
    if (known && timingSafeEqual(known, digest)) return true
    const signal = caller?.signal
    signal?.throwIfAborted()
    const flight = flightFor(presented, text, stored, digest)
    flight.callers += 1
    return untilAborted(flight.outcome, signal, () => {
      flight.callers -= 1
      if (flight.callers === 0) flight.abandon()
    })
  }

  return {
    hashGenerated: (secret) => requireKey() + unpadded(mac(secret)),

    async hashChosen(secret) {
      const salt = randomBytes(saltBytes)
      const derived = await queue.derive(secret, salt, written)
      const { cost, blockSize, parallelization } = written
      return `scrypt$${cost}$${blockSize}$${parallelization}$${unpadded(salt)}$${unpadded(derived)}`
    },

    async verify(presented, stored, caller) {
      if (presented === '') return false
      if (stored?.startsWith('scrypt$')) return verifyScrypt(presented, stored, caller)
      const expected = mac(presented)
      if (!stored || prefix === null || !stored.startsWith(prefix)) return false
      const kept = decodeUnpadded(stored.slice(prefix.length), keyBytes)
      return kept !== null && timingSafeEqual(expected, kept)
    },

    async verifyUnknown(presented, caller) {
      await queue.derive(presented, equaliser, written, caller?.signal)
      return false
    },

    lookup(secret) {
      requireKey()
      return mac(secret)
    },
  }
}

async function openStoredKey(db: Queryable, cipher: EnvelopeCipher): Promise<Buffer | null> {
  const [row] = await db.sql<{ id: string; envelope: Buffer }[]>`
    select id, envelope
    from credential_keys
    limit 1`
  if (!row) return null
  const key = cipher.open(row.envelope, credentialKeyAad)
  if (key.length !== keyBytes || credentialKeyId(key) !== row.id) {
    throw new Error('credential_keys holds a key that does not match its id')
  }
  return key
}

/**
 * The deployment's credential key: opens the singleton row, or makes it under the migration lock
 * when this is the first process to need it. Throws `EnvelopeError` when the row is sealed under
 * another KEK: then every stored credential is unreadable and the process must not start.
 */
export async function loadCredentialKey(db: Database, cipher: EnvelopeCipher): Promise<Buffer> {
  const existing = await openStoredKey(db, cipher)
  if (existing) return existing
  return db.transaction(async (tx) => {
    await lockMigrations(tx)
    const madeMeanwhile = await openStoredKey(tx, cipher)
    if (madeMeanwhile) return madeMeanwhile
    const key = randomBytes(keyBytes)
    await tx.sql`
      insert into credential_keys (id, envelope)
      values (${credentialKeyId(key)}, ${cipher.seal(key, credentialKeyAad)})`
    return key
  })
}
