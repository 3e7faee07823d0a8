import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { verifyChain } from '../../../src/roles/audit/index.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify, type IncomingEvent } from '../../../src/roles/audit/ingest/classify.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }

let store: TestDatabase
beforeAll(async () => {
  store = await createTestDatabase()
})
afterAll(() => store[Symbol.asyncDispose]())

function incoming(data: string): IncomingEvent {
  const entry = { id: '1-0', stream: 'caracal.audit.events', fields: frame('x', data, key) }
  const classified = classify(entry, key)
  if (!classified.ok) throw new Error(classified.reason)
  return classified.event
}

function plain(zoneId: string, overrides: Record<string, unknown> = {}): IncomingEvent {
  return incoming(
    JSON.stringify({
      id: uuidv7(),
      zone_id: zoneId,
      event_type: 'token_exchange',
      request_id: 'req-1',
      decision: 'allow',
      evaluation_status: 'complete',
      determining_policies_json: [],
      diagnostics_json: [],
      metadata_json: { resource: 'resource://api' },
      occurred_at: new Date().toISOString(),
      ...overrides,
    }),
  )
}

const first =
  '{"id":"0190f3c2-0000-7000-8000-000000000001","zone_id":"zone-1","event_type":"token_exchange","request_id":"req-1","decision":"allow","policy_set_version_id":"psv-1","manifest_sha":"abc","evaluation_status":"complete","determining_policies_json":[{"policy":"p1"}],"diagnostics_json":[],"metadata_json":{"resource":"resource://api","application_id":"app-1"},"occurred_at":"2026-05-21T12:00:00.123456Z"}'
const second =
  '{"id":"0190f3c2-0000-7000-8000-000000000002","zone_id":"zone-1","event_type":"replay_detected","request_id":"req-2","decision":"deny","evaluation_status":"anomaly","determining_policies_json":null,"diagnostics_json":null,"occurred_at":"2026-05-21T12:00:01Z"}'

async function append(...events: IncomingEvent[]): Promise<string[]> {
  const outcomes = await appendEvents(store.db, key, events)
  return events.map((event) => outcomes.get(event) ?? 'missing')
}

async function appendMany(zoneId: string, count: number): Promise<void> {
  await append(...Array.from({ length: count }, () => plain(zoneId)))
}

describe('appending', () => {
  it('21.1–2 stores the vectors with their hashes, links and sequence numbers', async () => {
    expect(await append(incoming(first))).toEqual(['stored'])
    expect(await append(incoming(second))).toEqual(['stored'])
    const rows = await store.db.sql`
      select chain_seq::int as seq, content_sha256, prev_content_sha256, chain_hmac
      from audit_events
      where zone_id = 'zone-1'
      order by chain_seq`
    expect(rows.map((row) => ({ ...row }))).toEqual([
      {
        seq: 1,
        content_sha256: '09cba2c071d95ec3498407543b2002b363c740720d65daa869968c4af1f5e5bd',
        prev_content_sha256: null,
        chain_hmac: '783b36ec21cb7e3cda4a7bcb4e418996836534bcb30f7d90458ac3bd2d469db0',
      },
      {
        seq: 2,
        content_sha256: 'a4b3a6869a08148dd1f97dad57187cdf91fb9e7a43d773ddcb7aaffbb0c511de',
        prev_content_sha256: '09cba2c071d95ec3498407543b2002b363c740720d65daa869968c4af1f5e5bd',
        chain_hmac: 'db0893808298bb60e0cf7f8357f1cb3c91b5309ee46edfb0ea3f4e304aa0094b',
      },
    ])
  })

  it('21.3–4 recognises a repeat and refuses a changed one', async () => {
    expect(await append(incoming(first))).toEqual(['duplicate'])
    expect(await append(incoming(first.replace('"allow"', '"deny"')))).toEqual(['tampered'])
    const [alerts] =
      await store.admin`select count(*)::int as count from audit_ingest_alerts where zone_id = 'zone-1'`
    expect(alerts?.count).toBe(1)
    const [rows] = await store.admin`select count(*)::int as count from audit_events where zone_id = 'zone-1'`
    expect(rows?.count).toBe(2)
  })

  it('21.6–7 stores NUL-free text and truncated time, and the chain verifies', async () => {
    const event = plain('zone-nul', {
      metadata_json: { 'a\u0000': 'b\u0000', n: 1.5 },
      occurred_at: '2026-05-21T12:00:00.123456789Z',
    })
    expect(await append(event)).toEqual(['stored'])
    const [row] = await store.db.sql`
      select metadata_json, extract(microseconds from occurred_at)::int % 1000000 as micros
      from audit_events
      where zone_id = 'zone-nul'`
    expect(row).toMatchObject({ metadata_json: { a: 'b', n: 1.5 }, micros: 123456 })
    expect(await verifyChain(store.db, key, 'zone-nul')).toMatchObject({ checked: 1, findings: [] })
  })

  it('21.8 numbers concurrent batches of one zone without gap or repeat', async () => {
    await Promise.all(Array.from({ length: 8 }, () => appendMany('zone-many', 25)))
    const rows = await store.db.sql<{ seq: number }[]>`
      select chain_seq::int as seq from audit_events where zone_id = 'zone-many' order by chain_seq`
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
    expect(await verifyChain(store.db, key, 'zone-many')).toMatchObject({ checked: 200, findings: [] })
  })
})
