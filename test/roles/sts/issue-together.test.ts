/** Record, token registration and evidence of an exchange commit together or not at all (sts §5.2 M). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StoreBus } from '../../../src/platform/bus/port.ts'
import type { OneUse } from '../../../src/platform/ephemera/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createRecordIssuer, type Premise } from '../../../src/roles/sts/store/issue-records.ts'
import { createTogetherIssuer, type IssueTogether } from '../../../src/roles/sts/store/issue-together.ts'
import { createWorld, type World } from './world.ts'

let world: World
let issue: IssueTogether['write']
let store: StoreBus
const stream = 'test.together'

beforeAll(async () => {
  world = await createWorld()
  if (world.bus.store === undefined) throw new Error('the bus is not in the store')
  store = world.bus.store
  const together = createTogetherIssuer(world.db, store)
  issue = (one) => together.write(one)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

function item(
  overrides: { id?: string; zoneId?: string; rests?: string; premise?: Premise; use?: OneUse } = {},
) {
  const id = overrides.id ?? uuidv7()
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
    premise: overrides.premise ?? null,
    basis: overrides.rests === undefined ? null : { records: [overrides.rests], edges: [], sessions: [] },
    use: overrides.use ?? null,
    evidence: [{ stream, fields: { id, data: `{"of":"${id}"}` } }],
  }
}

async function traces(of: ReturnType<typeof item>) {
  const [row] = await world.db.sql<{ records: number; told: number }[]>`
    select (select count(*)::int from authority_records where id = ${of.record.id}) as records,
           (select count(*)::int from bus_event
            where stream = ${stream} and payload->>'id' = ${of.record.id}) as told`
  return { ...row, holder: of.use === null ? null : await world.ephemera.get(of.use.key) }
}

test('all of it is there once the call answers', async () => {
  const one = item()
  expect(await issue(one)).toMatchObject({ outcome: 'inserted', fresh: true })
  expect(await traces(one)).toEqual({ records: 1, told: 1, holder: null })
})

test('nothing of it is there when what it rests on is dead', async () => {
  const one = item({ rests: 'no-such-record' })
  expect(await issue(one)).toMatchObject({ outcome: 'basis_dead' })
  expect(await traces(one)).toEqual({ records: 0, told: 0, holder: null })
})

test('a taken id is told, and is not taken over', async () => {
  const first = item()
  const second = item({ id: first.record.id })
  await issue(first)
  expect(await issue(second)).toMatchObject({ outcome: 'inserted', fresh: false })
})

test('a taken id is refused where record and evidence are written apart', async () => {
  const first = item()
  await issue(first)
  const apart = createRecordIssuer(world.db)
  expect(await apart(first.record, null)).toBe('refused')
  expect(await apart(first.record, { records: [], edges: [], sessions: [] })).toBe('refused')
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
  expect(await traces(alsoGood)).toEqual({ records: 1, told: 1, holder: null })
})

test('a premise holds until a definition of the zone changes, its graph shrinks or the clocks part', async () => {
  const { zoneId } = world.zone
  const definitions = async () => {
    const [row] = await world.db.sql<{ version: string }[]>`
      select version from definition_versions where zone_id = ${zoneId}`
    return row?.version ?? ''
  }
  const premise = { definitions: await definitions(), epoch: 0 }
  const good = item({ premise })
  expect(await issue(good)).toMatchObject({ outcome: 'inserted' })

  const late = item({ premise })
  late.record.authenticatedAt -= 10_000
  expect(await issue(late)).toMatchObject({ outcome: 'outdated' })
  expect(await traces(late)).toEqual({ records: 0, told: 0, holder: null })

  await world.db.sql`insert into delegation_graph_epochs (zone_id, epoch) values (${zoneId}, 1)`
  expect(await issue(item({ premise }))).toMatchObject({ outcome: 'outdated' })
  expect(await issue(item({ premise: { ...premise, epoch: 1 } }))).toMatchObject({ outcome: 'inserted' })

  await world.db.sql`update applications set updated_at = now() where zone_id = ${zoneId}`
  expect(await definitions()).not.toBe(premise.definitions)
  expect(await issue(item({ premise: { ...premise, epoch: 1 } }))).toMatchObject({ outcome: 'outdated' })
  expect(await issue(item())).toMatchObject({ outcome: 'inserted' })
})

test('a remembered record must be the one of its subject', async () => {
  const base = item()
  await issue(base)
  const [row] = await world.db.sql<{ version: string; epoch: string }[]>`
    select d.version, g.epoch from definition_versions d
    join delegation_graph_epochs g on g.zone_id = d.zone_id
    where d.zone_id = ${world.zone.zoneId}`
  const premise = { definitions: row?.version ?? '', epoch: Number(row?.epoch) }
  const rests = base.record.id
  expect(await issue(item({ rests, premise }))).toMatchObject({ outcome: 'inserted' })
  const anothers = item({ rests, premise })
  anothers.record.subjectId = 'somebody-else'
  expect(await issue(anothers)).toMatchObject({ outcome: 'basis_dead' })
})

describe('the one use of a presented mandate', () => {
  const use = (overrides: Partial<OneUse> = {}): OneUse => ({
    key: `seen:jti:${uuidv7()}`,
    value: 'the first',
    ttlMs: 60_000,
    issuedAt: Math.floor(Date.now() / 1000) + 1,
    ...overrides,
  })

  test('is claimed with the write, once', async () => {
    const first = item({ use: use() })
    expect(await issue(first)).toMatchObject({ outcome: 'inserted', fresh: true })
    expect(await traces(first)).toEqual({ records: 1, told: 1, holder: 'the first' })

    const again = item({ use: use({ key: first.use?.key ?? '', value: 'the second' }) })
    expect(await issue(again)).toMatchObject({ outcome: 'replayed', fresh: false })
    expect(await traces(again)).toEqual({ records: 0, told: 0, holder: 'the first' })
  })

  test('is known to the memory, and what the memory knows is lost to the write', async () => {
    const first = item({ use: use() })
    await issue(first)
    const { key, value, ttlMs, issuedAt } = first.use as OneUse
    expect(await world.ephemera.replay.claim(key, value, ttlMs, issuedAt)).toBe('replayed')

    const other = use()
    expect(await world.ephemera.replay.claim(other.key, other.value, other.ttlMs, other.issuedAt)).toBe(
      'fresh',
    )
    expect(await issue(item({ use: other }))).toMatchObject({ outcome: 'replayed' })
  })

  test('one of two at once has it', async () => {
    const { key } = use()
    const rivals = Array.from({ length: 8 }, (_, n) => item({ use: use({ key, value: `rival ${n}` }) }))
    const outcomes = await Promise.all(
      rivals.map(async (rival, n) => {
        await new Promise((resolve) => setTimeout(resolve, n))
        return (await issue(rival)).outcome
      }),
    )
    expect(outcomes.filter((outcome) => outcome === 'inserted')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(7)
  })

  test('is not for a mandate as old as the memory', async () => {
    const old = item({ use: use({ issuedAt: 1 }) })
    expect(await issue(old)).toMatchObject({ outcome: 'predates_memory' })
    expect(await traces(old)).toMatchObject({ records: 0, told: 0 })
  })

  test('is spent by an exchange that comes to nothing', async () => {
    const dead = item({ rests: 'no-such-record', use: use() })
    expect(await issue(dead)).toMatchObject({ outcome: 'basis_dead' })
    expect(await traces(dead)).toEqual({ records: 0, told: 0, holder: 'the first' })

    const outdated = item({ premise: { definitions: 'another', epoch: 0 }, use: use() })
    expect(await issue(outdated)).toMatchObject({ outcome: 'outdated' })
    expect(await traces(outdated)).toEqual({ records: 0, told: 0, holder: 'the first' })
  })

  test('is free again when its mark has expired', async () => {
    const short = use({ ttlMs: 1 })
    expect(await issue(item({ use: short }))).toMatchObject({ outcome: 'inserted' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await issue(item({ use: { ...short, ttlMs: 60_000 } }))).toMatchObject({ outcome: 'inserted' })
  })
})

describe('entries that ride along', () => {
  /** One entry that waits for a statement, and what became of it. */
  function rider() {
    const id = uuidv7()
    const fate: string[] = []
    let waiting = true
    const withdraw = store.rides.offer(() => {
      if (!waiting) return null
      waiting = false
      return {
        entries: [{ stream, fields: { id, data: '{}' } }],
        settle: (arrived) => fate.push(arrived ? 'arrived' : 'left behind'),
      }
    })
    const told = async (): Promise<number> => {
      const [row] = await world.db.sql<{ n: number }[]>`
        select count(*)::int as n from bus_event where stream = ${stream} and payload->>'id' = ${id}`
      return row?.n ?? 0
    }
    return { fate, told, [Symbol.dispose]: withdraw }
  }

  test('are in the bus with what they travelled with', async () => {
    using one = rider()
    expect(await issue(item())).toMatchObject({ outcome: 'inserted', fresh: true })
    expect([one.fate, await one.told()]).toEqual([['arrived'], 1])
  })

  test('are left behind by what is not written, and by a statement that fails', async () => {
    using beside = rider()
    expect(await issue(item({ rests: 'no-such-record' }))).toMatchObject({ outcome: 'basis_dead' })
    expect([beside.fate, await beside.told()]).toEqual([['left behind'], 0])

    using failing = rider()
    await expect(issue(item({ zoneId: 'no-such-zone' }))).rejects.toThrow()
    expect([failing.fate, await failing.told()]).toEqual([['left behind'], 0])
  })

  test('are not asked of a large statement', async () => {
    using one = rider()
    await Promise.all(Array.from({ length: 9 }, () => issue(item())))
    expect(one.fate).toEqual([])
  })
})
