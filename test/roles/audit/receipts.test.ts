/** Receipts: what they prove, and that nothing else passes for one (docs/audit-receipts.md). */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { createAuditReceipts, verifyChain, verifyReceipt } from '../../../src/roles/audit/index.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify } from '../../../src/roles/audit/ingest/classify.ts'
import { leafHash, pathOf, rootFromPath, rootOf } from '../../../src/roles/audit/receipts/merkle.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { jobContext } from '../../fixtures/job-context.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }
const cipher = createEnvelopeCipher({ kek: Buffer.alloc(32, 7) })
const log = pino({ level: 'silent' })

let store: TestDatabase
let receipts: ReturnType<typeof createAuditReceipts>
beforeAll(async () => {
  store = await createTestDatabase()
  receipts = createAuditReceipts({ db: store.db, cipher, key, log })
  for (const zone of ['zone-a', 'zone-b', 'zone-c'])
    await store.admin`insert into zones (id, name, slug) values (${zone}, ${zone}, ${zone})`
})
afterAll(() => store[Symbol.asyncDispose]())

async function fill(zoneId: string, count: number): Promise<string[]> {
  const ids: string[] = []
  const events = Array.from({ length: count }, () => {
    const id = uuidv7()
    ids.push(id)
    const data = JSON.stringify({
      id,
      zone_id: zoneId,
      event_type: 'token_exchange',
      request_id: 'req-1',
      decision: 'allow',
      evaluation_status: 'complete',
      determining_policies_json: [{ policy: 'p1' }],
      metadata_json: { resource: 'resource://api', note: 'ü "quoted" \\' },
      occurred_at: '2026-05-21T12:00:00.123456Z',
    })
    const classified = classify({ id: '1-0', stream: 's', fields: frame('x', data, key) }, key)
    if (!classified.ok) throw new Error(classified.reason)
    return classified.event
  })
  await appendEvents(store.db, key, events)
  return ids
}

const receiptOf = async (zone: string, id: string): Promise<string> => {
  const text = await receipts.receipt(zone, id)
  if (text === null) throw new Error('no receipt')
  return text
}

describe('the tree', () => {
  it('is that of RFC 6962 §2.1', () => {
    const sha = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
    const split = (leaves: Buffer[]): Buffer => {
      if (leaves.length === 1) return leaves[0] as Buffer
      let k = 1
      while (k * 2 < leaves.length) k *= 2
      return sha(Buffer.from([1]), split(leaves.slice(0, k)), split(leaves.slice(k)))
    }
    expect(leafHash('').toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    )
    for (let size = 1; size <= 70; size += 1) {
      const leaves = Array.from({ length: size }, (_, n) => leafHash(String(n)))
      expect(rootOf(leaves)).toEqual(split(leaves))
    }
  })

  it('proves each leaf at its own place only, in every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(), (size, at, other) => {
        const leaves = Array.from({ length: size }, (_, n) => leafHash(String(n)))
        const index = at % size
        const path = pathOf(leaves, index)
        const root = rootOf(leaves)
        expect(rootFromPath(leaves[index] as Buffer, index, size, path)).toEqual(root)
        const wrong = other % size
        if (wrong !== index) {
          expect(rootFromPath(leaves[index] as Buffer, wrong, size, path)?.equals(root)).not.toBe(true)
        }
        expect(rootFromPath(leafHash('other'), index, size, path)?.equals(root)).not.toBe(true)
        if (path.length > 0)
          expect(rootFromPath(leaves[index] as Buffer, index, size, path.slice(1))?.equals(root)).not.toBe(
            true,
          )
      }),
      { numRuns: 200 },
    )
  })
})

describe('a receipt', () => {
  it('holds offline, with the published key and without', async () => {
    const [first = '', , third = ''] = await fill('zone-a', 3)
    const text = await receiptOf('zone-a', first)
    const keys = await receipts.keySet('zone-a')
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' })
    expect(keys[0]).not.toHaveProperty('d')
    const verdict = verifyReceipt(text, keys)
    expect(verdict).toMatchObject({ ok: true, pinned: true, kid: keys[0]?.kid })
    expect(verifyReceipt(`${text}\n`, null)).toMatchObject({ ok: true, pinned: false })
    if (!verdict.ok) throw new Error('refused')
    expect(verdict.receipt.chain).toMatchObject({
      chain_seq: 1,
      prev_content_sha256: null,
      next_content_sha256: expect.any(String),
    })
    expect(verifyReceipt(await receiptOf('zone-a', third), keys)).toMatchObject({
      ok: true,
      receipt: { chain: { chain_seq: 3, next_content_sha256: null } },
    })
    expect(await receipts.receipt('zone-a', 'no-such-event')).toBeNull()
    expect(await receipts.receipt('zone-b', first)).toBeNull()
  })

  it('is refused under the keys of another zone', async () => {
    const [id = ''] = await fill('zone-b', 1)
    const text = await receiptOf('zone-b', id)
    expect(verifyReceipt(text, await receipts.keySet('zone-a'))).toEqual({
      ok: false,
      problem: 'key_unknown',
    })
    expect(verifyReceipt(text, [])).toEqual({ ok: false, problem: 'key_unknown' })
  })

  it('is refused with any byte changed', async () => {
    const [id = ''] = await fill('zone-a', 1)
    const text = await receiptOf('zone-a', id)
    const keys = await receipts.keySet('zone-a')
    const bytes = Buffer.from(text, 'utf8')
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ mask
        expect(verifyReceipt(changed.toString('utf8'), keys).ok).toBe(false)
        expect(verifyReceipt(changed.toString('utf8'), null).ok).toBe(false)
      }),
      { numRuns: 2_000 },
    )
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      expect(verifyReceipt(changed.toString('utf8'), keys).ok).toBe(false)
    }
  })

  it('stays valid while the tree grows over many blocks, and new ones hold at every size', async () => {
    const ids = [...(await fill('zone-c', 1_500))]
    const early = await receiptOf('zone-c', ids[700] as string)
    ids.push(...(await fill('zone-c', 1_300)))
    const keys = await receipts.keySet('zone-c')
    expect(verifyReceipt(early, keys)).toMatchObject({ ok: true })
    for (const at of [0, 1023, 1024, 1499, 1500, 2047, 2048, 2799]) {
      const verdict = verifyReceipt(await receiptOf('zone-c', ids[at] as string), keys)
      expect(verdict).toMatchObject({ ok: true, receipt: { inclusion: { leaf_index: at } } })
    }
    const [heads] =
      await store.admin`select count(*)::int as n from audit_tree_heads where zone_id = 'zone-c'`
    expect(heads?.n).toBe(2)
  })

  it('is never made over tampered links, and the signed head witnesses a tail that went with its head row', async () => {
    await fill('zone-b', 3)
    await receipts.job.run(jobContext())
    const [id = ''] = await fill('zone-b', 1)
    await store.admin.begin(async (sql) => {
      await sql`set local session_replication_role = replica`
      await sql`update audit_events set decision = 'deny' where zone_id = 'zone-b' and id = ${id}`
    })
    await expect(receipts.receipt('zone-b', id)).rejects.toThrow('does not verify')
    await receipts.job.run(jobContext())
    await store.admin.begin(async (sql) => {
      await sql`set local session_replication_role = replica`
      await sql`delete from audit_events where zone_id = 'zone-b' and chain_seq >= 3`
      await sql`
        update audit_chain_heads set chain_seq = 2, content_sha256 =
          (select content_sha256 from audit_events where zone_id = 'zone-b' and chain_seq = 2)
        where zone_id = 'zone-b'`
    })
    expect((await verifyChain(store.db, key, 'zone-b')).findings).toMatchObject([
      { kind: 'truncated', chainSeq: 3 },
    ])
  })

  it('holds after the key was rotated, and new ones are signed by the new key', async () => {
    await store.admin`insert into zones (id, name, slug) values ('zone-k', 'k', 'k')`
    const [before = ''] = await fill('zone-k', 3)
    const old = await receiptOf('zone-k', before)
    const [first] = await receipts.keySet('zone-k')
    const { key: made, previousKid } = await store.db.transaction((tx) => receipts.rotateKey(tx, 'zone-k'))
    expect(previousKid).toBe(first?.kid)
    const keys = await receipts.keySet('zone-k')
    expect(keys.map(({ kid }) => kid)).toEqual([made.kid, first?.kid])
    // Another process, without anything cached.
    const other = createAuditReceipts({ db: store.db, cipher, key, log })
    expect(verifyReceipt(old, keys)).toMatchObject({ ok: true, kid: first?.kid })
    expect(verifyReceipt((await other.receipt('zone-k', before)) ?? '', keys)).toMatchObject({ ok: true })
    const [after = ''] = await fill('zone-k', 2)
    for (const id of [after, before]) {
      const text = (await other.receipt('zone-k', id)) ?? ''
      expect(verifyReceipt(text, keys)).toMatchObject({ ok: true, kid: made.kid })
    }
    expect(verifyReceipt(old, [made])).toMatchObject({ ok: false })
    // The chain's attested heads of both keys still count.
    expect(await verifyChain(store.db, key, 'zone-k')).toMatchObject({ findings: [] })
  })
})
