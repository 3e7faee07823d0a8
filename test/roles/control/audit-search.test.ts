/** What the ledger is searched by inside its metadata: the same answers, out of an index, under row security. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify } from '../../../src/roles/audit/ingest/classify.ts'
import { type AuditFilters, searchAuditEvents } from '../../../src/roles/control/store/audit-events.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const secret = Buffer.alloc(32, 9)
const key = { current: secret, accepted: [secret] }
const long = 'n'.repeat(200)
const longer = `${long}more`

let database: TestDatabase
const minuteOf = new Map<string, number>()

/** Appends as the ingest does; the number of the minute it occurred in names the event. */
async function append(zone: string, minutes: readonly (readonly [number, unknown])[]): Promise<void> {
  const events = minutes.map(([minute, metadata]) => {
    const id = uuidv7()
    minuteOf.set(id, minute)
    const data = JSON.stringify({
      id,
      zone_id: zone,
      event_type: minute % 2 === 0 ? 'token_exchange' : 'step_up_issued',
      request_id: 'r',
      decision: 'allow',
      evaluation_status: 'complete',
      determining_policies_json: [],
      diagnostics_json: [],
      metadata_json: metadata,
      occurred_at: `2026-03-01T00:${String(minute).padStart(2, '0')}:00Z`,
    })
    const entry = { id: '1-0', stream: 'caracal.audit.events', fields: frame('x', data, key) }
    const classified = classify(entry, key)
    if (!classified.ok) throw new Error(classified.reason)
    return classified.event
  })
  const outcomes = await appendEvents(database.db, key, events)
  expect([...outcomes.values()]).toEqual(events.map(() => 'stored'))
}

async function minutes(filters: AuditFilters, zone = 'z', limit = 2): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = []
  let cursor: string | undefined
  do {
    const page = await searchAuditEvents(database.db, zone, filters, { limit, cursor })
    found.push(...page.items.map((item) => minuteOf.get(item.id)))
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return found
}

beforeAll(async () => {
  database = await createTestDatabase()
  await append('z', [
    [1, { application_id: 'a', agent_session_id: 's', session_id: 'r', agent_labels: ['x', 'y', 'x'] }],
    [2, { application_id: 'a', agent_session_id: 's' }],
    [3, { application_id: 'b', agent_labels: ['x', long] }],
    [4, { application_id: long, agent_labels: [longer] }],
    [5, { application_id: longer, agent_labels: [] }],
    [6, { agent_labels: 'x' }],
    [7, { application_id: 'a', session_id: 'r', agent_labels: ['x'] }],
    [8, null],
  ])
  // No labels at all, and another zone.
  await append('z', [[9, { application_id: 'a' }]])
  await append('other', [[10, { application_id: 'a', agent_session_id: 's', agent_labels: ['x'] }]])
})
afterAll(() => database[Symbol.asyncDispose]())

test('each filter finds what its member says, newest first, page by page', async () => {
  expect(await minutes({ application_id: 'a' })).toEqual([9, 7, 2, 1])
  expect(await minutes({ session_id: 's' })).toEqual([2, 1])
  expect(await minutes({ authority_record_id: 'r' })).toEqual([7, 1])
  expect(await minutes({ label: 'x' })).toEqual([7, 3, 1])
  expect(await minutes({ label: 'y' })).toEqual([1])
  expect(await minutes({ label: 'x' }, 'other')).toEqual([10])
  expect(await minutes({ application_id: 'none' })).toEqual([])
})

test('a text longer than an index takes is told from another that begins like it', async () => {
  expect(await minutes({ application_id: long })).toEqual([4])
  expect(await minutes({ application_id: longer })).toEqual([5])
  expect(await minutes({ application_id: long.slice(0, 128) })).toEqual([])
  expect(await minutes({ label: long })).toEqual([3])
  expect(await minutes({ label: longer })).toEqual([4])
})

test('filters narrow each other', async () => {
  expect(await minutes({ label: 'x', application_id: 'a' })).toEqual([7, 1])
  expect(
    await minutes({ label: 'x', event_type: ['step_up_issued'], until: '2026-03-01T00:07:00Z' }),
  ).toEqual([3, 1])
  expect(await minutes({ label: 'x', since: '2026-03-01T00:03:00Z' })).toEqual([7, 3])
  expect(await minutes({ application_id: 'a', session_id: 's', authority_record_id: 'r' })).toEqual([1])
  expect(await minutes({ label: 'x', session_id: 's' })).toEqual([1])
  expect(await minutes({ label: 'y', authority_record_id: 'r' })).toEqual([1])
})

test.each([
  ['audit_events', 'application_id'],
  ['audit_events', 'agent_session_id'],
  ['audit_events', 'authority_record_id'],
  ['audit_event_labels', 'label'],
])('row security lets the plan narrow %s by %s, in the order of the list', async (table, column) => {
  const plan = await database.db.transaction(async (tx) => {
    for (const other of ['seqscan', 'bitmapscan', 'sort'])
      await tx.sql.unsafe(`set local enable_${other} = off`)
    return tx.sql.unsafe<{ 'QUERY PLAN': string }[]>(`
      explain (costs off)
      select 1 from ${table}
      where zone_id = 'z' and ${column} = 'a'
      order by occurred_at desc nulls last
      limit 10`)
  })
  const text = plan.map((row) => row['QUERY PLAN']).join('\n')
  expect(text).toMatch(new RegExp(`Index Cond: .*\\(${column} = 'a'::text\\)`))
  expect(text).not.toMatch(/-> {2}Sort$/m)
})
