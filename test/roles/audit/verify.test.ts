/** audit-and-events §13, §21.14: whatever is done to the evidence is named with its zone and its place. */

import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appendAdminAction } from '../../../src/platform/admin-audit/append.ts'
import { adminChainName, zoneOfChain } from '../../../src/platform/admin-audit/chain-name.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { verifyAdminChain, verifyChain } from '../../../src/roles/audit/index.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify } from '../../../src/roles/audit/ingest/classify.ts'
import { recordCheckpoint } from '../../../src/roles/audit/store/attested.ts'
import { noSweepYet, sweepRecent, sweepWhole } from '../../../src/roles/audit/verify/sweep.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }

let store: TestDatabase
beforeAll(async () => {
  store = await createTestDatabase()
})
afterAll(() => store[Symbol.asyncDispose]())

async function fill(zoneId: string, count: number, occurredAt = new Date().toISOString()): Promise<void> {
  const events = Array.from({ length: count }, () => {
    const data = JSON.stringify({
      id: uuidv7(),
      zone_id: zoneId,
      event_type: 'token_exchange',
      request_id: 'req-1',
      decision: 'allow',
      evaluation_status: 'complete',
      determining_policies_json: [],
      diagnostics_json: [],
      metadata_json: { resource: 'resource://api' },
      occurred_at: occurredAt,
    })
    const classified = classify({ id: '1-0', stream: 's', fields: frame('x', data, key) }, key)
    if (!classified.ok) throw new Error(classified.reason)
    return classified.event
  })
  await appendEvents(store.db, key, events)
}

/** Breaks evidence as an owner with the triggers off would. */
async function tamper(statement: string): Promise<void> {
  await store.admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`
    await sql.unsafe(statement).simple()
  })
}

/** Recomputes what can be recomputed without the key: hashes and links of everything from `from` on. */
const rewritten = (zone: string, from: number) => `
  do $$
  declare
    link record;
    previous text := (select content_sha256 from audit_events where zone_id = '${zone}' and chain_seq = ${from - 1});
    content text;
  begin
    update audit_events set decision = 'deny' where zone_id = '${zone}' and chain_seq = ${from};
    for link in select * from audit_events where zone_id = '${zone}' and chain_seq >= ${from} order by chain_seq loop
      content := encode(sha256(convert_to(concat_ws(E'\\x1f',
        link.id, link.zone_id, link.event_type, coalesce(link.request_id, ''), coalesce(link.decision, ''),
        coalesce(link.policy_set_id, ''), coalesce(link.policy_set_version_id, ''), coalesce(link.manifest_sha, ''),
        coalesce(link.evaluation_status, ''), coalesce(link.determining_policies_json::text, 'null'),
        coalesce(link.diagnostics_json::text, 'null'), coalesce(link.metadata_json::text, 'null'),
        ((extract(epoch from link.occurred_at) * 1000000)::bigint * 1000)::text), 'UTF8')), 'hex');
      update audit_events set content_sha256 = content, prev_content_sha256 = previous
      where zone_id = '${zone}' and chain_seq = link.chain_seq;
      previous := content;
    end loop;
    update audit_chain_heads set content_sha256 = previous where zone_id = '${zone}';
  end $$`

describe('verification names what was done to the evidence', () => {
  const row = (zone: string, seq: number) => `zone_id = '${zone}' and chain_seq = ${seq}`
  it.each<[string, string, number, (zone: string) => string]>([
    [
      'an edited row',
      'content_mismatch',
      3,
      (zone) => `update audit_events set decision = 'deny' where ${row(zone, 3)}`,
    ],
    ['a deleted middle row', 'missing_links', 3, (zone) => `delete from audit_events where ${row(zone, 3)}`],
    ['a deleted first row', 'missing_links', 1, (zone) => `delete from audit_events where ${row(zone, 1)}`],
    ['a truncated tail', 'truncated', 5, (zone) => `delete from audit_events where ${row(zone, 5)}`],
    ['everything deleted', 'truncated', 1, (zone) => `delete from audit_events where zone_id = '${zone}'`],
    [
      'a swapped pair',
      'chain_break',
      2,
      (zone) =>
        `update audit_events set chain_seq = case chain_seq when 2 then 3 else 2 end
         where zone_id = '${zone}' and chain_seq in (2, 3)`,
    ],
    [
      'an inserted row with a number that is taken',
      'foreign_row',
      3,
      (zone) =>
        `insert into audit_events (id, zone_id, event_type, occurred_at, chain_seq, content_sha256)
         values ('zzz', '${zone}', 'e', now(), 3, 'x')`,
    ],
    [
      'an inserted row beyond the head',
      'foreign_row',
      6,
      (zone) =>
        `insert into audit_events (id, zone_id, event_type, occurred_at, chain_seq, content_sha256)
         values ('zzz', '${zone}', 'e', now(), 6, 'x')`,
    ],
    [
      'an inserted row without a number',
      'foreign_row',
      6,
      (zone) =>
        `insert into audit_events (id, zone_id, event_type, occurred_at) values ('zzz', '${zone}', 'e', now())`,
    ],
    ['a suffix rewritten with recomputed hashes but no key', 'hmac_failure', 3, (zone) => rewritten(zone, 3)],
    [
      'marks overwritten',
      'hmac_failure',
      4,
      (zone) => `update audit_events set chain_hmac = repeat('0', 64) where ${row(zone, 4)}`,
    ],
    [
      'a head moved back',
      'foreign_row',
      5,
      (zone) =>
        `update audit_chain_heads set chain_seq = 4, content_sha256 =
           (select content_sha256 from audit_events where ${row(zone, 4)}) where zone_id = '${zone}'`,
    ],
  ])('%s', async (what, kind, chainSeq, change) => {
    const zone = `zone ${what}`
    await fill(zone, 5)
    expect((await verifyChain(store.db, key, zone)).findings).toEqual([])
    await tamper(change(zone))
    const report = await verifyChain(store.db, key, zone)
    expect(report.findings).toContainEqual(expect.objectContaining({ kind, zoneId: zone, chainSeq }))
    expect(report.total).toBe(report.findings.length)
  })

  it('a tail that went together with its head is named by what was attested before', async () => {
    await fill('zone-cut', 5)
    const { last } = await verifyChain(store.db, key, 'zone-cut')
    if (last === null) throw new Error('no last link')
    await recordCheckpoint(store.db, 'zone-cut', last)
    await tamper(`
      delete from audit_events where zone_id = 'zone-cut' and chain_seq >= 4;
      update audit_chain_heads set chain_seq = 3, content_sha256 =
        (select content_sha256 from audit_events where zone_id = 'zone-cut' and chain_seq = 3)
      where zone_id = 'zone-cut'`)
    expect((await verifyChain(store.db, key, 'zone-cut')).findings).toMatchObject([
      { kind: 'truncated', chainSeq: 4 },
    ])
  })

  it('rows of a previous key still verify after a rotation, and only with it', async () => {
    await fill('zone-rotated', 2)
    const next = Buffer.alloc(32, 9)
    const rotated = { current: next, accepted: [next, secret] }
    expect((await verifyChain(store.db, rotated, 'zone-rotated')).findings).toEqual([])
    const lost = { current: next, accepted: [next] }
    expect((await verifyChain(store.db, lost, 'zone-rotated')).findings).toHaveLength(2)
  })

  it('a part of the chain verifies from the row before it', async () => {
    await fill('zone-part', 6)
    expect(await verifyChain(store.db, key, 'zone-part', { fromSeq: 4 })).toMatchObject({
      checked: 3,
      findings: [],
    })
    await tamper(`update audit_events set prev_content_sha256 = 'x' where ${row('zone-part', 4)}`)
    expect((await verifyChain(store.db, key, 'zone-part', { fromSeq: 4 })).findings).toContainEqual(
      expect.objectContaining({ kind: 'chain_break', chainSeq: 4 }),
    )
  })
})

describe('the administrative chain', () => {
  const act = (zoneId: string | null, payload: Record<string, unknown> | null) =>
    store.db.transaction((tx) =>
      appendAdminAction(tx, key, {
        requestId: 'req-1',
        actor: { id: 'tok-1', name: 'bootstrap', scope: 'global' },
        action: 'POST /v1/zones',
        method: 'POST',
        path: '/v1/zones',
        zoneId,
        entityType: 'zones',
        entityId: 'zone-1',
        statusCode: 201,
        payload,
      }),
    )

  it('verifies as written, per zone and for records without one', async () => {
    for (const zone of ['zone-admin', null]) {
      await act(zone, { change_kind: 'create', changed_fields: ['name'] })
      await act(zone, null)
      expect(await verifyAdminChain(store.db, key, zone)).toMatchObject({ checked: 2, findings: [] })
    }
  })

  it('a zone called like the chain without one has its own place', async () => {
    await using other = await createTestDatabase()
    const mine = store
    store = other
    try {
      const zones = [null, 'global', ':global', '::global']
      expect(new Set(zones.map(adminChainName)).size).toBe(zones.length)
      for (const zone of zones) expect(zoneOfChain(adminChainName(zone))).toBe(zone)
      const counts = noSweepYet()
      for (const rounds of [3, 1, 2, 0]) {
        for (let round = 0; round < rounds; round += 1) await act(null, { round })
        await act(':global', null)
        const log = pino({ level: 'silent' })
        await sweepRecent({ db: other.db, key, log, rollingHours: 4, counts }, new AbortController().signal)
      }
      expect(counts).toMatchObject({ mismatches: 0, chainBreaks: 0, hmacFailures: 0 })
      await tamper(`delete from admin_audit_events where zone_id is null`)
      expect((await verifyAdminChain(other.db, key, null)).findings).toMatchObject([
        { kind: 'truncated', zoneId: 'admin-audit::global', chainSeq: 1 },
      ])
    } finally {
      store = mine
    }
  })

  it.each([
    [
      'content_mismatch',
      2,
      `update admin_audit_events set actor_id = 'someone' where zone_id = 'Z' and chain_seq = 2`,
    ],
    ['missing_links', 2, `delete from admin_audit_events where zone_id = 'Z' and chain_seq = 2`],
    [
      'hmac_failure',
      3,
      `update admin_audit_events set chain_hmac = null where zone_id = 'Z' and chain_seq = 3`,
    ],
    ['truncated', 3, `delete from admin_audit_events where zone_id = 'Z' and chain_seq = 3`],
  ])('%s at #%i', async (kind, chainSeq, statement) => {
    const zone = `zone-admin-${kind}`
    for (let n = 0; n < 3; n += 1) await act(zone, { n })
    const clean = await verifyAdminChain(store.db, key, zone)
    if (clean.last === null) throw new Error('no last link')
    await recordCheckpoint(store.db, `admin-audit:${zone}`, clean.last)
    await tamper(statement.replaceAll("'Z'", `'${zone}'`))
    expect((await verifyAdminChain(store.db, key, zone)).findings).toContainEqual({
      kind,
      zoneId: `admin-audit:${zone}`,
      chainSeq,
      eventId: kind === 'truncated' ? null : expect.any(String),
    })
  })
})

describe('the sweep', () => {
  it('14 counts and logs findings, keeps naming them, and goes on from clean checkpoints', async () => {
    await using other = await createTestDatabase()
    const mine = store
    store = other
    try {
      const lines: Record<string, unknown>[] = []
      const log = pino({ level: 'error' }, { write: (line: string) => lines.push(JSON.parse(line)) })
      const counts = noSweepYet()
      const deps = { db: other.db, key, log, rollingHours: 4, counts }
      const whole = () => sweepWhole(deps, new AbortController().signal)
      const sweep = (counted = counts) =>
        sweepRecent({ ...deps, counts: counted }, new AbortController().signal)
      await fill('zone-s', 4, '2026-05-01T00:00:00Z')
      await fill('zone-t', 4)
      await whole()
      expect(counts).toMatchObject({ checked: 8, mismatches: 0, chainBreaks: 0, hmacFailures: 0 })
      expect(counts.lastFull).toBeGreaterThan(0)
      await fill('zone-s', 2, '2026-05-01T00:00:00Z')
      await sweep()
      // Only the checkpoint's row and what came after it; the other zone lies in the rolling window.
      expect(counts.checked).toBe(8 + 3 + 4)
      await whole()
      expect(counts.checked).toBe(8 + 3 + 4)
      // A new leader has read nothing whole yet: what is recent does not wait for that.
      const anew = noSweepYet()
      await sweep(anew)
      expect(anew).toMatchObject({ checked: 1 + 4, lastFull: 0 })

      const [edited] = await other.admin<{ id: string }[]>`
        select id from audit_events where zone_id = 'zone-t' and chain_seq = 2`
      await tamper(`update audit_events set decision = 'deny' where zone_id = 'zone-t' and chain_seq = 2`)
      await sweep()
      await sweep()
      expect(counts.mismatches).toBe(2)
      expect(lines[0]).toMatchObject({
        msg: 'audit_tamper_detected',
        event_id: edited?.id,
        zone_id: 'zone-t',
        chain_seq: 2,
        finding: 'content_mismatch',
      })
    } finally {
      store = mine
    }
  })
})
