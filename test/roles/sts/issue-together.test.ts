/** Record, token registration and evidence of an exchange commit together or not at all (sts §5.2 M). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createTogetherIssuer, type IssueTogether } from '../../../src/roles/sts/store/issue-together.ts'
import { createWorld, type World } from './world.ts'

let world: World
let issue: IssueTogether
const stream = 'test.together'

beforeAll(async () => {
  world = await createWorld()
  const store = world.bus.store
  if (store === undefined) throw new Error('the bus is not in the store')
  issue = createTogetherIssuer(world.db, store)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

function item(overrides: { zoneId?: string; rests?: string; jti?: string } = {}) {
  const id = uuidv7()
  return {
    record: {
      id,
      zoneId: overrides.zoneId ?? world.zone.zoneId,
      sessionType: 'application' as const,
      subjectId: world.zone.application.id,
      parentId: null,
      authenticatedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
      claims: null,
    },
    basis: overrides.rests === undefined ? null : { records: [overrides.rests], edges: [], sessions: [] },
    jti: { key: `audit:jti:${overrides.jti ?? id}`, holder: 'someone|1', ttlMs: 60_000 },
    evidence: [{ stream, fields: { id, data: `{"of":"${id}"}` } }],
  }
}

async function traces(of: ReturnType<typeof item>) {
  const [row] = await world.db.sql<{ records: number; told: number }[]>`
    select (select count(*)::int from authority_records where id = ${of.record.id}) as records,
           (select count(*)::int from bus_event
            where stream = ${stream} and payload->>'id' = ${of.record.id}) as told`
  return { ...row, holder: await world.ephemera.get(of.jti.key) }
}

test('all of it is there once the call answers', async () => {
  const one = item()
  expect(await issue(one)).toMatchObject({ outcome: 'inserted', fresh: true })
  expect(await traces(one)).toEqual({ records: 1, told: 1, holder: 'someone|1' })
})

test('nothing of it is there when what it rests on is dead', async () => {
  const one = item({ rests: 'no-such-record' })
  expect(await issue(one)).toMatchObject({ outcome: 'basis_dead' })
  expect(await traces(one)).toEqual({ records: 0, told: 0, holder: null })
})

test('a taken id is told, and is not taken over', async () => {
  const first = item()
  const second = item({ jti: first.record.id })
  await issue(first)
  expect(await issue(second)).toMatchObject({ outcome: 'inserted', fresh: false })
})

test('while the graph of the zone is being changed it is busy, without waiting', async () => {
  const base = item()
  await issue(base)
  const { admin } = world.database
  await admin`begin`
  await admin`select pg_advisory_xact_lock(hashtext(${`delegation:${world.zone.zoneId}`}))`
  try {
    const one = item({ rests: base.record.id })
    expect(await issue(one)).toMatchObject({ outcome: 'busy' })
    expect(await traces(one)).toEqual({ records: 0, told: 0, holder: null })
  } finally {
    await admin`rollback`
  }
})

test('one that breaks the schema takes no other with it', async () => {
  const good = item()
  const bad = item({ zoneId: 'no-such-zone' })
  const alsoGood = item()
  const outcomes = await Promise.all([issue(good), issue(bad), issue(alsoGood)])
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['inserted', 'refused', 'inserted'])
  expect(await traces(bad)).toEqual({ records: 0, told: 0, holder: null })
  expect(await traces(alsoGood)).toEqual({ records: 1, told: 1, holder: 'someone|1' })
})
