/**
 * A zone's ES256 keys: made on the first mint, opened once, rotated with overlap
 * (sts §7, storage-and-operations §9.2). Which key signs is part of every read
 * snapshot, so a rotation applies at once everywhere; only opened keys are cached,
 * by `kid`, for 15 minutes.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { EnvelopeCipher } from '../../platform/crypto/port.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import type { Database } from '../../platform/db/port.ts'
import { createSigner, type Signer } from '../../platform/jose/compact.ts'
import { openSigningKey, type PublicSigningKey, publicJwk } from '../../platform/jose/zone-key.ts'
import type { Outbox } from '../../platform/outbox/port.ts'
import { internalError, unavailable } from './refusal.ts'
import {
  lockSigningKey,
  readActiveKey,
  readAllPublishedKeys,
  readPublishedKeys,
  type SigningKeyRow,
  zoneIsLive,
} from './store/signing-keys.ts'
import { addZoneKey } from './zone-key.ts'

const openedForMs = 15 * 60_000
const unknownKidCooldownMs = 30_000

export interface SigningKeys {
  /** `kid` whose opened key is at hand, to tell the snapshot that its envelope is not needed. */
  heldKid(zoneId: string): string | null
  /** The signer a snapshot names; makes the zone's first key when it names none. */
  signer(
    zoneId: string,
    seen: { readonly kid: string | null; readonly key_envelope: string | null },
  ): Signer | Promise<Signer>
  /** A key that may verify mandates of this zone, `null` when there is none of that id. */
  verificationKey(zoneId: string, kid: string): Promise<KeyObject | null>
  /** Published keys, active first; `null` for a zone that is unknown or has no key yet. */
  published(zoneId: string): Promise<readonly PublicSigningKey[] | null>
  /** The union over live zones, each key naming its zone. */
  publishedEverywhere(): Promise<readonly PublicSigningKey[]>
  /** Adds the next key; `aheadMs` 0 signs with it at once. Resolves to its `kid`, `null` for an unknown zone. */
  rotate(zoneId: string, aheadMs: number): Promise<string | null>
  forget(zoneId?: string): void
}

interface OpenedKey {
  readonly zoneId: string
  readonly signer: Signer
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface SigningKeyDeps {
  readonly db: Database
  readonly cipher: EnvelopeCipher
  readonly outbox: Outbox
  readonly log: Logger
  /** Called once for each row that cannot be opened. */
  readonly onInvalidKey: () => void
}

export function createSigningKeys(deps: SigningKeyDeps): SigningKeys {
  const { db, cipher, log } = deps
  const opened = new LRUCache<string, OpenedKey>({ max: 4096, ttl: openedForMs })
  const held = new LRUCache<string, string>({ max: 10_000 })
  /** Published `kid`s by zone. */
  const verification = new LRUCache<string, ReadonlySet<string>>({ max: 4096, ttl: openedForMs })
  /** Zones whose set was read again for an unknown `kid`; what was read for another reason may miss a new key. */
  const missed = new LRUCache<string, true>({ max: 4096, ttl: unknownKidCooldownMs })
  /** Bumped by `forget`: a read that began before it must not be kept. */
  let generation = 0
  const reading = new Map<string, Promise<readonly OpenedKey[]>>()
  const creating = new Map<string, Promise<Signer>>()

  function open(row: SigningKeyRow): OpenedKey {
    const known = opened.get(row.id)
    if (known !== undefined && known.zoneId === row.zone_id) return known
    const pem = cipher.open(row.envelope, columnAad.zoneSigningKey).toString('utf8')
    const privateKey = openSigningKey(pem)
    const key = {
      zoneId: row.zone_id,
      privateKey,
      publicKey: createPublicKey(privateKey),
      signer: createSigner(row.id, privateKey),
    }
    opened.set(row.id, key)
    return key
  }

  function openUsable(rows: readonly SigningKeyRow[]): OpenedKey[] {
    return rows.flatMap((row) => {
      try {
        return [open(row)]
      } catch (error) {
        deps.onInvalidKey()
        log.warn({ err: error, zone_id: row.zone_id, kid: row.id }, 'signing key cannot be opened')
        return []
      }
    })
  }

  function signer(
    zoneId: string,
    seen: { readonly kid: string | null; readonly key_envelope: string | null },
  ): Signer | Promise<Signer> {
    if (seen.kid === null) return firstKey(zoneId)
    const known = opened.get(seen.kid)
    if (known !== undefined && known.zoneId === zoneId) {
      held.set(zoneId, seen.kid)
      return known.signer
    }
    if (seen.key_envelope === null) return rereadSigner(zoneId)
    return hold({
      id: seen.kid,
      zone_id: zoneId,
      version: 0,
      envelope: Buffer.from(seen.key_envelope, 'hex'),
    })
  }

  function hold(row: SigningKeyRow): Signer {
    try {
      const key = open(row)
      held.set(row.zone_id, row.id)
      return key.signer
    } catch (cause) {
      throw internalError('signing key cannot be opened', cause)
    }
  }

  /** The opened key left the cache between asking and answering. */
  async function rereadSigner(zoneId: string): Promise<Signer> {
    const row = await readActiveKey(db, zoneId)
    if (row === null) throw internalError('zone has no active signing key')
    return hold(row)
  }

  function firstKey(zoneId: string): Promise<Signer> {
    const running = creating.get(zoneId)
    if (running !== undefined) return running
    const started = createFirstKey(zoneId).finally(() => creating.delete(zoneId))
    creating.set(zoneId, started)
    return started
  }

  async function createFirstKey(zoneId: string): Promise<Signer> {
    const row = await db.transaction(async (tx) => {
      await lockSigningKey(tx, zoneId)
      const existing = await readActiveKey(tx, zoneId)
      if (existing !== null) return existing
      return addZoneKey(deps, tx, zoneId, 0)
    })
    forgetSet(zoneId)
    return hold(row)
  }

  /** What is read from now on is kept; what is being read is answered and forgotten. */
  function forgetSet(zoneId: string): void {
    generation += 1
    verification.delete(zoneId)
    missed.delete(zoneId)
    reading.delete(zoneId)
  }

  /** Reads and opens the published set; concurrent callers share one read. */
  function readKeys(zoneId: string): Promise<readonly OpenedKey[]> {
    const running = reading.get(zoneId)
    if (running !== undefined) return running
    const startedIn = generation
    const started = readPublishedKeys(db, zoneId)
      .then((rows) => {
        const keys = openUsable(rows)
        if (rows.length > 0 && keys.length === 0)
          throw internalError('no signing key of the zone can be opened')
        if (startedIn === generation) verification.set(zoneId, new Set(keys.map((key) => key.signer.kid)))
        return keys
      })
      .finally(() => {
        if (reading.get(zoneId) === started) reading.delete(zoneId)
      })
    reading.set(zoneId, started)
    return started
  }

  return {
    heldKid(zoneId) {
      const kid = held.get(zoneId)
      if (kid === undefined) return null
      if (opened.has(kid)) return kid
      held.delete(zoneId)
      return null
    },

    signer,

    async verificationKey(zoneId, kid) {
      const kids = verification.get(zoneId)
      if (kids?.has(kid)) {
        const key = opened.get(kid)
        if (key !== undefined) return key.publicKey
      } else if (kids !== undefined) {
        if (missed.has(zoneId)) return null
        missed.set(zoneId, true)
      }
      const keys = await readKeys(zoneId).catch((error: unknown) => {
        if (error instanceof Error && error.name === 'CaracalError') throw error
        throw unavailable('verification keys cannot be read', error)
      })
      return keys.find((key) => key.signer.kid === kid)?.publicKey ?? null
    },

    async published(zoneId) {
      const keys = await readKeys(zoneId)
      if (keys.length === 0) return null
      return keys.map((key) => publicJwk(key.signer.kid, key.privateKey))
    },

    async publishedEverywhere() {
      const rows = await readAllPublishedKeys(db)
      return openUsable(rows).map((key) => publicJwk(key.signer.kid, key.privateKey, key.zoneId))
    },

    async rotate(zoneId, aheadMs) {
      const kid = await db.transaction(async (tx) => {
        if (!(await zoneIsLive(tx, zoneId))) return null
        await lockSigningKey(tx, zoneId)
        const first = (await readActiveKey(tx, zoneId)) === null
        return (await addZoneKey(deps, tx, zoneId, first ? 0 : aheadMs)).id
      })
      held.delete(zoneId)
      forgetSet(zoneId)
      return kid
    },

    forget(zoneId) {
      if (zoneId === undefined) {
        generation += 1
        held.clear()
        verification.clear()
        missed.clear()
        reading.clear()
        opened.clear()
        return
      }
      held.delete(zoneId)
      forgetSet(zoneId)
    },
  }
}
