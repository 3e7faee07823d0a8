/** The revocation set, its snapshot and its stream (gateway §8). */
import { hostname } from 'node:os'
import fc from 'fast-check'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Consumer } from '../../../src/platform/bus/consume.ts'
import type { Bus, Fields } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { entrySignature, signEntry } from '../../../src/platform/bus/signature.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createCounters } from '../../../src/roles/gateway/counters.ts'
import { ownName } from '../../../src/roles/gateway/index.ts'
import { createRevocationConsumer } from '../../../src/roles/gateway/revocations/consumer.ts'
import {
  anchorsOfEntry,
  propagationSeconds,
  revocationGroup,
} from '../../../src/roles/gateway/revocations/entries.ts'
import { groupJanitor } from '../../../src/roles/gateway/revocations/group-janitor.ts'
import { type Anchors, createRevocationSet } from '../../../src/roles/gateway/revocations/set.ts'
import { createSnapshot } from '../../../src/roles/gateway/revocations/snapshot.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { testSettings } from '../../fixtures/settings.ts'
import { seedZone } from '../../platform/db/seed-zone.ts'

const none: Anchors = { records: [], sessions: [], delegations: [] }
const only = (kind: keyof Anchors, ...ids: string[]): Anchors => ({ ...none, [kind]: ids })

describe('set', () => {
  it('keeps the kinds apart and never matches an empty id', () => {
    const set = createRevocationSet()
    set.mark({ sessions: ['a', ''] })
    expect(set.isRevoked(only('sessions', 'a'))).toBe(true)
    expect(set.isRevoked(only('records', 'a'))).toBe(false)
    expect(set.isRevoked(only('sessions', ''))).toBe(false)
    expect(set.size).toBe(1)
  })

  it('forgets after 24 h', () => {
    let now = 0
    const set = createRevocationSet(() => now)
    set.mark({ records: ['a'] })
    now = 24 * 3600 * 1000 - 1
    expect(set.isRevoked(only('records', 'a'))).toBe(true)
    now += 1
    expect(set.isRevoked(only('records', 'a'))).toBe(false)
    set.prune()
    expect(set.size).toBe(0)
  })

  it('a snapshot replaces, except what arrived while it was read', () => {
    const set = createRevocationSet()
    set.mark({ sessions: ['unconfirmed'] })
    const before = set.marks
    set.replace(only('sessions', 'confirmed'), before)
    expect(set.isRevoked(only('sessions', 'unconfirmed'))).toBe(false)
    expect(set.isRevoked(only('sessions', 'confirmed'))).toBe(true)
    const sampled = set.marks
    set.mark({ sessions: ['meanwhile'] })
    set.replace(only('sessions', 'confirmed'), sampled)
    expect(set.isRevoked(only('sessions', 'meanwhile'))).toBe(true)
  })

  it('tells a watcher once, in the tick of the mark or of the snapshot, and not after its end', () => {
    const set = createRevocationSet()
    const told: string[] = []
    const watching = (name: string, anchors: Anchors) => set.watch(anchors, () => told.push(name))
    watching('marked', { records: ['r'], sessions: ['s'], delegations: ['d'] })
    watching('by snapshot', only('delegations', 'lost event'))
    watching('over', only('sessions', 's')).end()
    watching('suspended', only('sessions', 'suspended'))
    set.mark({ records: ['r'], sessions: ['s'] })
    expect(told).toEqual(['marked'])
    set.replace(only('delegations', 'lost event'), set.marks)
    expect(told).toEqual(['marked', 'by snapshot'])
    set.cutSession('suspended')
    expect(told).toEqual(['marked', 'by snapshot', 'suspended'])
    expect(set.isRevoked(only('sessions', 'suspended'))).toBe(false)
    expect(set.watching).toBe(0)
  })

  it('no order of marks and snapshots loses a revocation that the store confirms', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('revoke' as const), id: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ do: fc.constant('deliver' as const), id: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ do: fc.constant('begin' as const), id: fc.constant(0) }),
      fc.record({ do: fc.constant('finish' as const), id: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const set = createRevocationSet()
        const store = new Set<string>()
        const known = new Set<string>()
        let reading: { ids: string[]; marks: number } | null = null
        for (const one of steps) {
          const id = String(one.id)
          if (one.do === 'revoke') store.add(id)
          else if (one.do === 'deliver' && store.has(id)) {
            set.mark({ sessions: [id] })
            known.add(id)
          } else if (one.do === 'begin') reading ??= { ids: [...store], marks: set.marks }
          else if (one.do === 'finish' && reading !== null) {
            set.replace(only('sessions', ...reading.ids), reading.marks)
            for (const read of reading.ids) known.add(read)
            reading = null
          }
          for (const revoked of known) expect(set.isRevoked(only('sessions', revoked))).toBe(true)
        }
      }),
    )
  })
})

describe('entries', () => {
  it('reads every anchor under every name', () => {
    expect(
      anchorsOfEntry({
        zone_id: 'z',
        session_id: 'a',
        sid: 'b',
        root_sid: 'c',
        agent_session_id: 'd',
        delegation_edge_id: 'e',
        edge_id: 'f',
      }),
    ).toEqual({ records: ['a', 'b', 'c'], sessions: ['d'], delegations: ['e'] })
    expect(anchorsOfEntry({ zone_id: 'z', edge_id: 'f' })).toEqual(only('delegations', 'f'))
    expect(anchorsOfEntry({ zone_id: 'z', session_id: '' })).toBeNull()
  })

  it('reads the delay from an id that is a time, else from the outbox', () => {
    const now = 1_700_000_002_000
    const written = (now - 40_000).toString(16).padStart(12, '0')
    const outbox = { outbox_id: `${written.slice(0, 8)}-${written.slice(8)}-7000-8000-000000000000` }
    expect(propagationSeconds({ id: '1700000000000-0', fields: outbox }, now)).toBe(2)
    expect(propagationSeconds({ id: '1700000000000-0', fields: {} }, 1_600_000_000_000)).toBe(0)
    expect(propagationSeconds({ id: '4711-3', fields: outbox }, now)).toBe(40)
    expect(propagationSeconds({ id: '4711-3', fields: { outbox_id: 'x' } }, now)).toBeNull()
  })

  it('verifies the published stream signature', () => {
    const fields = {
      agent_session_id: 'sess-1',
      outbox_id: 'ob-1',
      reason: 'agent_terminated',
      session_id: 'ar-1',
      zone_id: 'zone-1',
    }
    const key = Buffer.from('00112233445566778899aabbccddeeff'.repeat(2), 'hex')
    expect(entrySignature(key, 'caracal.sessions.revoke', fields)).toBe(
      '04b1110a53790f9fa5861bb3bde3d68f598f2b8ec792dc57b73cc21d51d628be',
    )
  })
})

describe('over the store', () => {
  let database: TestDatabase
  let bus: Bus
  let ephemera: Ephemera
  const log = pino({ level: 'silent' })
  const keys = keyRing(testSettings())
  const stream = 'caracal.sessions.revoke'

  beforeAll(async () => {
    database = await createTestDatabase()
    bus = createPostgresBus({ db: database.db, log, pollMs: 100 })
    ephemera = createPostgresEphemera({ db: database.db, log })
  })
  afterAll(async () => {
    await ephemera[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const publish = async (fields: Fields, signed = true): Promise<void> => {
    await bus.publish([{ stream, fields: signed ? signEntry(keys.streams, stream, fields) : fields }])
  }

  const open: Consumer[] = []

  function consumer(host: string, reclaimMs = 30_000) {
    const set = createRevocationSet()
    const counters = createCounters()
    const snapshot = createSnapshot({ db: database.db, set, counters })
    const deps = {
      bus,
      ephemera,
      key: keys.streams,
      log,
      counters,
      set,
      snapshot,
      host,
      worker: 1,
      reclaimMs,
    }
    const reader = createRevocationConsumer(deps)
    open.push(reader)
    return { set, counters, reader }
  }
  afterEach(async () => {
    for (const reader of open.splice(0)) await reader[Symbol.asyncDispose]()
  })

  it('a successor on the same host applies what was published while nobody read', async () => {
    const first = consumer('h1')
    await first.reader.start()
    await publish({ zone_id: 'z', agent_session_id: 's-1', reason: 'x' })
    await eventually(() => first.set.isRevoked(only('sessions', 's-1')))
    await first.reader[Symbol.asyncDispose]()
    await publish({ zone_id: 'z', agent_session_id: 's-2', reason: 'x' })
    const successor = consumer('h1')
    await successor.reader.start()
    await eventually(() => successor.set.isRevoked(only('sessions', 's-2')))
    expect(successor.set.isRevoked(only('sessions', 's-1'))).toBe(false)
  })

  it('56: a successor takes over what its predecessor read and never acknowledged', async () => {
    const group = bus.group(stream, 'gateway-revocation:h6')
    await group.ensure('end')
    await publish({ zone_id: 'z', agent_session_id: 's-6', reason: 'x' })
    const dead = { consumer: 'gateway-h6-0', count: 50, blockMs: 1000, signal: new AbortController().signal }
    expect(await group.read(dead)).toHaveLength(1)
    const successor = consumer('h6', 100)
    await successor.reader.start()
    await eventually(() => successor.set.isRevoked(only('sessions', 's-6')))
    expect(successor.counters.revocation_pending_replayed).toBe(1)
  })

  it('every host sees every message', async () => {
    const hosts = [consumer('h2'), consumer('h3')]
    for (const host of hosts) await host.reader.start()
    await publish({ zone_id: 'z', delegation_edge_id: 'd-1', reason: 'x' })
    for (const host of hosts) await eventually(() => host.set.isRevoked(only('delegations', 'd-1')))
  })

  it('gateways of one host that listen on different ports are told apart, and the usual one needs no word', () => {
    const name = (own: number, single: number | null = null) =>
      ownName({ GATEWAY_PORT: own, CARACAL_SINGLE_PORT: single })
    expect([name(8081), name(8082), name(8081, 9000)]).toEqual([
      hostname(),
      `${hostname()}-8082`,
      `${hostname()}-9000`,
    ])
  })

  it('drops what is not signed, and counts it', async () => {
    const { set, reader } = consumer('h4')
    await reader.start()
    await publish({ zone_id: 'z', agent_session_id: 'forged', reason: 'x' }, false)
    const good = signEntry(keys.streams, stream, { zone_id: 'z', agent_session_id: 'ok', reason: 'x' })
    await publish({ ...good, agent_session_id: 'moved' }, false)
    await publish({ zone_id: 'z', agent_session_id: 'after', reason: 'x' })
    await eventually(() => set.isRevoked(only('sessions', 'after')))
    expect(reader.stats().invalidSignatures).toBe(2)
    expect(set.isRevoked(only('sessions', 'forged', 'moved'))).toBe(false)
    await eventually(async () => (await bus.group(stream, 'gateway-revocation:h4').stats()).pending === 0)
  })

  it('sets a message without an anchor aside after five deliveries', async () => {
    const { reader } = consumer('h7', 50)
    await reader.start()
    await publish({ zone_id: 'z', reason: 'no anchor' })
    const [letter] = await eventually(async () => {
      const letters = await bus.range(`${stream}.dead`, '-', 10)
      return letters.length > 0 ? letters : null
    })
    expect(letter?.fields.error).toBe('missing revocation anchor')
    expect(letter?.fields.original_id).toMatch(/^\d+-\d+$/)
    expect(JSON.parse(letter?.fields.values ?? '')).toMatchObject({ zone_id: 'z', reason: 'no anchor' })
    await eventually(async () => (await bus.group(stream, 'gateway-revocation:h7').stats()).pending === 0)
    expect(reader.stats().deadLettered).toBe(1)
  })

  it('groups of hosts that are gone for a day are forgotten, and none that is alive', async () => {
    let now = Date.now()
    const janitor = (host: string) =>
      groupJanitor({ bus, ephemera, group: revocationGroup(host, 1), now: () => now })
    const names = () => bus.groups(stream)
    const gone = revocationGroup('gone', 1)
    const alive = revocationGroup('alive', 2)
    for (const group of [gone, alive, 'sts-revocation']) await bus.group(stream, group).ensure('end')
    await publish({ zone_id: 'z', agent_session_id: 's-9', reason: 'x' })
    await groupJanitor({ bus, ephemera, group: alive, now: () => now }).run(jobContext())
    await janitor('me').run(jobContext())
    now += 23 * 3_600_000
    await janitor('me').run(jobContext())
    expect(await names()).toEqual(expect.arrayContaining([gone, alive]))
    now += 3_600_000
    await janitor('me').run(jobContext())
    expect(await names()).not.toContain(gone)
    expect(await names()).toEqual(expect.arrayContaining([alive, 'sts-revocation']))
  })

  it('a host that comes back in time keeps its group', async () => {
    let now = Date.now()
    const back = groupJanitor({ bus, ephemera, group: revocationGroup('back', 1) })
    const other = groupJanitor({ bus, ephemera, group: revocationGroup('me', 1), now: () => now })
    await bus.group(stream, revocationGroup('back', 1)).ensure('end')
    await other.run(jobContext())
    now += 23 * 3_600_000
    await back.run(jobContext())
    await other.run(jobContext())
    now += 23 * 3_600_000
    await ephemera.delete('gateway-group-alive:gateway-revocation:back')
    await other.run(jobContext())
    expect(await bus.groups(stream)).toContain(revocationGroup('back', 1))
  })

  it('who asks for a snapshot while one is read is answered by one that was read after', async () => {
    const set = createRevocationSet()
    const counters = createCounters()
    let reads = 0
    let answered = 0
    let letGo = false
    const sql = async (text: TemplateStringsArray) => {
      reads += 1
      const rows = await database.db.sql(text)
      answered += 1
      await eventually(() => letGo)
      return rows
    }
    const db = Object.assign(Object.create(database.db) as Database, { sql })
    const snapshot = createSnapshot({ db, set, counters })
    const underWay = snapshot.load()
    await eventually(() => answered === 1)
    await seedZone(database.admin, 'asked')
    await database.admin`
      update agent_sessions set status = 'terminated', terminated_at = now(), updated_at = now()
      where id = 'asked-session'`
    const asked = [snapshot.load(), snapshot.load()]
    letGo = true
    await underWay
    await Promise.all(asked)
    expect(set.isRevoked(only('sessions', 'asked-session'))).toBe(true)
    expect(reads).toBe(2)
  })

  it('survives the loss of its group', async () => {
    const { set, reader } = consumer('h5')
    await reader.start()
    await database.admin`delete from bus_cursor where grp = 'gateway-revocation:h5'`
    await eventually(async () => {
      await publish({ zone_id: 'z', agent_session_id: 's-5', reason: 'x' })
      return set.isRevoked(only('sessions', 's-5'))
    })
    expect(reader.stats().resets).toBe(1)
  })
})
