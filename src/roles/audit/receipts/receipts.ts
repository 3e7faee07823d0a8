/**
 * Receipts: a signed, self-contained proof that an event is in the ledger (docs/audit-receipts.md).
 * Works where the KEK is, so that a zone's audit key can be opened; the role that serves the routes
 * hosts it and runs its job.
 */

import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { canonicalJson } from '../../../platform/canonical-json.ts'
import type { EnvelopeCipher } from '../../../platform/crypto/port.ts'
import { columnAad } from '../../../platform/crypto/secret-store.ts'
import type { Database, Tx } from '../../../platform/db/port.ts'
import type { Job, JobContext } from '../../../platform/jobs/job.ts'
import { createSigner, type Signer } from '../../../platform/jose/compact.ts'
import { generateSigningKeyPem, openSigningKey, publicJwk } from '../../../platform/jose/zone-key.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { type AuditKeyRow, insertAuditKey, lockTree, readAuditKeys } from '../store/audit-keys.ts'
import {
  blockLeaves,
  newestHead,
  readBlockRoots,
  readLeaves,
  sequenceOf,
  type TreeHeadRow,
  zonesBehind,
} from '../store/tree.ts'
import { type StoredLink, unhurried, walkChain } from '../store/walk-chain.ts'
import { ChainNotSound, type GrowthStep, growTree, longStep, shortStep, splitLeaves } from './grow-tree.ts'
import { keyThumbprint } from './key-thumbprint.ts'
import { hashBytes, pathOf, rootOf } from './merkle.ts'
import { headType, type Receipt, receiptEvent, receiptFormat, signedText } from './receipt-format.ts'

const headIntervalMs = 60_000
const zonesPerRound = 200

export interface ReceiptDeps {
  readonly db: Database
  readonly cipher: EnvelopeCipher
  /** `AUDIT_HMAC_KEY`: links are verified before they are vouched for. */
  readonly key: HmacKey
  readonly log: Logger
}

export interface AuditReceipts {
  /** The receipt as canonical JSON, to be sent byte for byte. Null when the zone has no such event. */
  receipt(zoneId: string, eventId: string): Promise<string | null>
  /** Public keys of the zone, newest first; empty before its first head was signed. */
  keySet(zoneId: string): Promise<readonly JWK[]>
  /**
   * Gives the zone a new key in the caller's transaction: it signs every head from the next one on.
   * Earlier keys stay in the key set, so that earlier receipts stay verifiable.
   */
  rotateKey(tx: Tx, zoneId: string): Promise<KeyRotation>
  /** `audit_tree_heads`: signs a head every minute for every chain that grew. */
  readonly job: Job
}

export interface KeyRotation {
  readonly key: JWK
  /** `kid` of the key it replaces; `null` for a zone that had none yet. */
  readonly previousKid: string | null
}

interface OpenedKey {
  readonly signer: Signer
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

export function createAuditReceipts({ db, cipher, key, log }: ReceiptDeps): AuditReceipts {
  const opened = new LRUCache<string, OpenedKey>({ max: 1_024, ttl: 15 * 60_000 })

  function open(row: AuditKeyRow): OpenedKey {
    const known = opened.get(row.id)
    if (known !== undefined) return known
    const pem = cipher.open(row.envelope, columnAad.zoneAuditKey).toString('utf8')
    const privateKey = openSigningKey(pem)
    const made = {
      privateKey,
      signer: createSigner(row.id, privateKey, headType),
      jwk: publicJwk(row.id, privateKey),
    }
    opened.set(row.id, made)
    return made
  }

  /** The zone's newest key, made when there is none. Only under the tree's lock. */
  async function currentKey(tx: Tx, zoneId: string, told: Logger): Promise<OpenedKey> {
    const [newest] = await readAuditKeys(tx, zoneId)
    return newest === undefined ? makeKey(tx, zoneId, told) : open(newest)
  }

  async function makeKey(tx: Tx, zoneId: string, told = log): Promise<OpenedKey> {
    const pem = generateSigningKeyPem()
    const kid = keyThumbprint(createPublicKey(pem).export({ format: 'jwk' }) as JWK)
    const row = { id: kid, envelope: cipher.seal(Buffer.from(pem, 'utf8'), columnAad.zoneAuditKey) }
    await insertAuditKey(tx, zoneId, row)
    told.info({ zone_id: zoneId, kid }, 'audit_key_made')
    return open(row)
  }

  /** One step of growth; a backlog takes several. */
  function grow(zoneId: string, step: GrowthStep, told = log): Promise<TreeHeadRow | null> {
    return db.transaction(async (tx) => {
      await lockTree(tx, zoneId)
      const { signer } = await currentKey(tx, zoneId, told)
      return await growTree(tx, key, signer, zoneId, step)
    })
  }

  /** Short steps with long rests: whoever is served by this process does not notice. */
  async function catchUp(zoneId: string, { signal, log: runLog }: JobContext): Promise<void> {
    let size = 0
    let grown = shortStep.maxLinks
    while (grown >= shortStep.maxLinks && !signal.aborted) {
      const began = performance.now()
      const head = await grow(zoneId, shortStep, runLog)
      grown = (head?.treeSize ?? 0) - size
      size = head?.treeSize ?? 0
      await sleep((performance.now() - began) * unhurried.rest, undefined, { signal }).catch(() => undefined)
    }
  }

  /** A head that covers `seq`, signed by the key that signs now. */
  async function headCovering(zoneId: string, seq: number): Promise<TreeHeadRow> {
    let head = await newestHead(db, zoneId)
    while (head === null || head.treeSize < seq) {
      const before = head?.treeSize ?? 0
      head = await grow(zoneId, longStep)
      if (head === null || head.treeSize <= before) throw new ChainNotSound(`the tree does not reach ${seq}`)
    }
    return head
  }

  async function pathIn(zoneId: string, index: number, size: number): Promise<string[]> {
    const own = Math.floor(index / blockLeaves)
    const partial = Math.floor(size / blockLeaves)
    const leavesOf = async (block: number) => {
      const bytes = await readLeaves(db, zoneId, block)
      return splitLeaves(bytes.subarray(0, Math.min(blockLeaves, size - block * blockLeaves) * hashBytes))
    }
    // The last block of a later size has another root than at this one.
    const roots = await readBlockRoots(db, zoneId, partial)
    if (size % blockLeaves !== 0) roots.push(rootOf(await leavesOf(partial)))
    const inner = pathOf(await leavesOf(own), index % blockLeaves)
    return [...inner, ...pathOf(roots, own)].map((hash) => hash.toString('hex'))
  }

  async function linksAt(zoneId: string, seq: number): Promise<[StoredLink, StoredLink | undefined] | null> {
    const links: StoredLink[] = []
    for await (const link of walkChain(db, zoneId, seq, seq + 1)) links.push(link)
    const [own, next] = links
    return own === undefined || own.chainSeq !== seq ? null : [own, next]
  }

  return {
    async receipt(zoneId, eventId) {
      const seq = await sequenceOf(db, zoneId, eventId)
      if (seq === null) return null
      const head = await headCovering(zoneId, seq)
      const links = await linksAt(zoneId, seq)
      const rows = await readAuditKeys(db, zoneId)
      const row = rows.find(({ id }) => head.statement.startsWith(headerOf(id)))
      if (links === null || row === undefined) return null
      const [own, next] = links
      const { privateKey, jwk } = open(row)
      const unsigned: Omit<Receipt, 'signature'> = {
        format: receiptFormat,
        event: receiptEvent(own.form),
        chain: {
          chain_seq: seq,
          content_sha256: own.contentSha256,
          prev_content_sha256: own.prevContentSha256,
          next_content_sha256: next?.contentSha256 ?? null,
        },
        inclusion: {
          leaf_index: seq - 1,
          tree_size: head.treeSize,
          path: await pathIn(zoneId, seq - 1, head.treeSize),
        },
        head: head.statement,
        key: jwk,
        issued_at: new Date().toISOString(),
      }
      const signature = sign('sha256', Buffer.from(signedText(unsigned), 'utf8'), {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      }).toString('base64url')
      return canonicalJson({ ...unsigned, signature })
    },

    async keySet(zoneId) {
      return (await readAuditKeys(db, zoneId)).map((row) => open(row).jwk)
    },

    async rotateKey(tx, zoneId) {
      await lockTree(tx, zoneId)
      const [newest] = await readAuditKeys(tx, zoneId)
      const { jwk } = await makeKey(tx, zoneId)
      return { key: jwk, previousKid: newest?.id ?? null }
    },

    job: {
      name: 'audit_tree_heads',
      intervalMs: headIntervalMs,
      async run(context) {
        for (const zoneId of await zonesBehind(db, zonesPerRound)) {
          if (context.signal.aborted) return
          await catchUp(zoneId, context).catch((error: unknown) => {
            if (!(error instanceof ChainNotSound)) throw error
            context.log.error({ err: error, zone_id: zoneId }, 'audit_tree_refused')
          })
        }
      },
    },
  }
}

/** First part of the JWS that the signer of this key makes. */
function headerOf(kid: string): string {
  const header = JSON.stringify({ alg: 'ES256', kid, typ: headType })
  return `${Buffer.from(header, 'utf8').toString('base64url')}.`
}
