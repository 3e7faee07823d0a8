/** audit-and-events §17: every sink hears of its events in its turn, and no delivery outlasts its lease. */
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { EgressGuard } from '../../../src/platform/egress/guarded-fetch.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import {
  activeSinks,
  claimDeliveries,
  fanOut,
  releaseDeliveries,
  settleDelivery,
} from '../../../src/roles/control/store/sinks.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { createStage, type Stage } from './stage.ts'

const sent: string[] = []
let whileSending = async (): Promise<void> => undefined

const egress = {
  checkUrl: (url: string | URL) => new URL(url),
  checkHost: async () => undefined,
  async fetch(_url: string | URL, call?: { readonly headers?: Readonly<Record<string, string>> }) {
    sent.push(call?.headers?.['x-caracal-sink'] ?? '')
    await whileSending()
    return { status: 200, headers: {}, body: Buffer.alloc(0) }
  },
  async [Symbol.asyncDispose]() {},
} satisfies EgressGuard

let stage: Stage
beforeAll(async () => {
  stage = await createStage({ egress })
})
afterAll(() => stage[Symbol.asyncDispose]())
beforeEach(async () => {
  sent.length = 0
  whileSending = async () => undefined
  await stage.database.admin`delete from notification_sinks`
})

async function run(name: string): Promise<void> {
  const job = stage.control.jobs.find((candidate) => candidate.name === name)
  await job?.run(jobContext())
}

const dispatch = () => run('notification_dispatcher')

/** Appends `count` events as ingest does: rows and head in one transaction. */
async function append(zone: string, type: string, count = 1): Promise<void> {
  await stage.database.admin.begin(async (sql) => {
    const [head] = await sql<{ seq: number }[]>`
      select coalesce(max(chain_seq), 0)::int as seq from audit_chain_heads where zone_id = ${zone}`
    const from = head?.seq ?? 0
    await sql`
      insert into audit_events (id, zone_id, event_type, decision, occurred_at, chain_seq, metadata_json)
      select gen_random_uuid()::text, ${zone}, ${type}, 'pending', now(), ${from}::int + n, '{}'
      from generate_series(1, ${count}::int) as n`
    await sql`
      insert into audit_chain_heads (zone_id, chain_seq, content_sha256) values (${zone}, ${from + count}, 'x')
      on conflict (zone_id) do update set chain_seq = excluded.chain_seq`
  })
}

async function sink(zone: string): Promise<string> {
  const body = { name: 's', url: 'https://sink.test.example/', event_types: ['step_up_issued'] }
  return (await stage.send('POST', `/v1/zones/${zone}/notification-sinks`, body)).body.id
}

const cursorOf = async (id: string) => {
  const [row] = await stage.database.db.sql<{ seq: number }[]>`
    select cursor_chain_seq::int as seq from notification_sinks where id = ${id}`
  return row?.seq
}

test('in a busy zone an approval is told in the next pass, and the cursor goes to the head', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  await append(zone, 'token_exchange', 1_000)
  await append(zone, 'step_up_issued')
  await append(zone, 'token_exchange', 500)
  await dispatch()
  expect(sent).toEqual([id])
  expect(await cursorOf(id)).toBe(1_501)
  await append(zone, 'step_up_issued', 150)
  await dispatch()
  expect(await cursorOf(id)).toBe(1_601)
  await dispatch()
  expect(await cursorOf(id)).toBe(1_651)
  const rows = await stage.database.admin`select 1 from notification_deliveries where sink_id = ${id}`
  expect(rows).toHaveLength(151)
})

test('the cursor never passes an event that is still to be committed', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  await append(zone, 'token_exchange', 3)
  const { admin } = stage.database
  await admin.begin(async (sql) => {
    await sql`insert into audit_events (id, zone_id, event_type, decision, occurred_at, chain_seq, metadata_json)
      values (${uuidv7()}, ${zone}, 'step_up_issued', 'pending', now(), 4, '{}')`
    await sql`update audit_chain_heads set chain_seq = 4 where zone_id = ${zone}`
    await dispatch()
    expect(await cursorOf(id)).toBe(3)
  })
  await dispatch()
  expect(sent).toEqual([id])
})

test('a chain that has not begun leaves the cursor where it is, and a far one is followed in steps', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  const pass = async () => {
    const [active] = await activeSinks(stage.database.db, '', 1)
    if (active === undefined) throw new Error('no active sink')
    await stage.database.db.transaction((tx) => fanOut(tx, active, 100))
    return cursorOf(id)
  }
  expect(await pass()).toBe(0)
  await stage.database.admin`
    insert into audit_chain_heads (zone_id, chain_seq, content_sha256) values (${zone}, 60000, 'x')`
  expect(await pass()).toBe(50_000)
  expect(await pass()).toBe(60_000)
})

test('more active sinks than a pass looks at take turns', async () => {
  const zone = await stage.zone()
  const first = await sink(zone)
  await stage.database.admin`
    insert into notification_sinks (id, zone_id, name, url, secret_ct, event_types)
    select 'sink-' || lpad(n::text, 4, '0'), zone_id, name, url, secret_ct, event_types
    from notification_sinks, generate_series(1, 450) as n
    where id = ${first}`
  await append(zone, 'step_up_issued')
  for (let pass = 0; pass < 3; pass += 1) await dispatch()
  const rows = await stage.database.admin`select distinct sink_id from notification_deliveries`
  expect(rows).toHaveLength(451)
})

test('a secret that cannot be opened is retried with a growing delay and given up, and holds up nobody', async () => {
  const zone = await stage.zone()
  const broken = await sink(zone)
  const sound = await sink(zone)
  await stage.database.admin`update notification_sinks set secret_ct = '\\x00' where id = ${broken}`
  await append(zone, 'step_up_issued')
  await dispatch()
  expect(sent).toEqual([sound])
  const path = `/v1/zones/${zone}/notification-sinks/${broken}`
  const delivery = async () => (await stage.send('GET', `${path}/deliveries`)).body.items[0]
  expect(await delivery()).toMatchObject({ attempts: 1, abandoned_at: null })
  expect(Date.parse((await delivery()).available_at) - Date.now()).toBeGreaterThan(25_000)
  for (let attempt = 2; attempt <= 8; attempt += 1) {
    await stage.database
      .admin`update notification_deliveries set available_at = now() where sink_id = ${broken}`
    await dispatch()
  }
  expect(await delivery()).toMatchObject({ attempts: 8, abandoned_at: expect.any(String) })
  const error = 'the secret of the sink cannot be opened: too_short'
  expect((await delivery()).last_error).toBe(error)
  expect((await stage.send('GET', path)).body).toMatchObject({ last_error: error, consecutive_failures: 8 })
})

test('a delivery is not begun when its lease could end before it does; it goes back untried', async () => {
  const zone = await stage.zone()
  for (let n = 0; n < 8; n += 1) await sink(zone)
  await append(zone, 'step_up_issued')
  const clock = performance.now.bind(performance)
  let later = 0
  const now = vi.spyOn(performance, 'now').mockImplementation(() => clock() + later)
  try {
    whileSending = async () => {
      await new Promise(setImmediate)
      later = 16_000
    }
    await dispatch()
    expect(sent).toHaveLength(5)
    const rows = await stage.database.admin<{ attempts: number; due: boolean; delivered: boolean }[]>`
      select attempts, available_at <= now() as due, delivered_at is not null as delivered
      from notification_deliveries order by delivered`
    expect(rows.slice(0, 3)).toEqual(Array(3).fill({ attempts: 0, due: true, delivered: false }))
    await dispatch()
    expect(new Set(sent).size).toBe(8)
  } finally {
    now.mockRestore()
  }
})

test('who comes back after its lease neither settles nor releases what another process leased meanwhile', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  await append(zone, 'step_up_issued')
  whileSending = async () => {
    throw new Error('no answer')
  }
  await dispatch()
  const { admin, db } = stage.database
  const lease = async () => {
    await admin`update notification_deliveries set available_at = now() - interval '1 second'`
    const [leased] = await claimDeliveries(db, 25, 30)
    if (leased === undefined) throw new Error('nothing is due')
    return leased
  }
  const look = async () => [
    await admin`select attempts, available_at, delivered_at, last_error from notification_deliveries`,
    await admin`select consecutive_failures, last_success_at, last_error from notification_sinks where id = ${id}`,
  ]
  const late = await lease()
  const held = await lease()
  const before = await look()
  await releaseDeliveries(db, [late])
  const ok = { status: 200, error: null, retryInSeconds: null }
  await db.transaction((tx) => settleDelivery(tx, late, ok))
  expect(await look()).toEqual(before)
  await db.transaction((tx) => settleDelivery(tx, held, ok))
  expect(await look()).toMatchObject([
    [{ attempts: 3, delivered_at: expect.any(Date) }],
    [{ consecutive_failures: 0 }],
  ])
})

test('what was settled over a week ago goes, however much of it there is', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  const { admin } = stage.database
  for (const [count, age] of [
    [1_100, '8 days'],
    [2, '6 days'],
  ] as const)
    await admin`
      insert into notification_deliveries (id, sink_id, zone_id, event_id, event_type, payload_json, delivered_at, created_at)
      select gen_random_uuid()::text, ${id}, ${zone}, gen_random_uuid()::text, 'e', '{}', now(), now() - ${age}::interval
      from generate_series(1, ${count}::int)`
  await run('delivery_retention')
  expect(await admin`select 1 from notification_deliveries where sink_id = ${id}`).toHaveLength(2)
})

test('without an active sink nothing is looked for that could be due', async () => {
  const zone = await stage.zone()
  const id = await sink(zone)
  await append(zone, 'step_up_issued')
  await stage.database.admin`update notification_sinks set active = false where id = ${id}`
  await dispatch()
  expect(sent).toEqual([])
  await stage.database.admin`update notification_sinks set active = true where id = ${id}`
  await dispatch()
  expect(sent).toEqual([id])
})
