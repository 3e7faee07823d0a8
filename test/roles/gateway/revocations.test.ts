/** The revocation set, its snapshot and its stream (gateway §8). */
import fc from 'fast-check'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Bus, Fields } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { entrySignature, signEntry } from '../../../src/platform/bus/signature.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { createCounters } from '../../../src/roles/gateway/counters.ts'
import { createRevocationConsumer } from '../../../src/roles/gateway/revocations/consumer.ts'
import { anchorsOfEntry, propagationSeconds } from '../../../src/roles/gateway/revocations/entries.ts'
import { type Anchors, createRevocationSet } from '../../../src/roles/gateway/revocations/set.ts'
import { createSnapshot } from '../../../src/roles/gateway/revocations/snapshot.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { testSettings } from '../../fixtures/settings.ts'

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

  it('reads the delay from ids that are times only', () => {
    expect(propagationSeconds('1700000000000-0', 1_700_000_002_000)).toBe(2)
    expect(propagationSeconds('1700000000000-0', 1_600_000_000_000)).toBe(0)
    expect(propagationSeconds('4711-3', 1_700_000_000_000)).toBeNull()
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

  function consumer(host: string) {
    const set = createRevocationSet()
    const counters = createCounters()
    const snapshot = createSnapshot({ db: database.db, set, counters })
    const deps = { bus, ephemera, key: keys.streams, log, counters, set, snapshot, host, worker: 1 }
    return { set, counters, consumer: createRevocationConsumer(deps) }
  }

  it('a group created before the snapshot misses nothing published afterwards', async () => {
    const { set, consumer: reader } = consumer('h1')
    await reader.prepare()
    await publish({ zone_id: 'z', agent_session_id: 's-1', reason: 'x' })
    const stop = new AbortController()
    const running = reader.run(stop.signal)
    await eventually(() => set.isRevoked(only('sessions', 's-1')))
    stop.abort()
    await running
    // What was published while nobody read is there for the successor on the same host.
    await publish({ zone_id: 'z', agent_session_id: 's-2', reason: 'x' })
    const successor = consumer('h1')
    await successor.consumer.prepare()
    const again = new AbortController()
    const reading = successor.consumer.run(again.signal)
    await eventually(() => successor.set.isRevoked(only('sessions', 's-2')))
    again.abort()
    await reading
  })

  it('every host sees every message', async () => {
    const hosts = [consumer('h2'), consumer('h3')]
    const stop = new AbortController()
    for (const host of hosts) await host.consumer.prepare()
    const running = hosts.map((host) => host.consumer.run(stop.signal))
    await publish({ zone_id: 'z', delegation_edge_id: 'd-1', reason: 'x' })
    for (const host of hosts) await eventually(() => host.set.isRevoked(only('delegations', 'd-1')))
    stop.abort()
    await Promise.all(running)
  })

  it('drops what is not signed, and counts it', async () => {
    const { set, counters, consumer: reader } = consumer('h4')
    await reader.prepare()
    const stop = new AbortController()
    const running = reader.run(stop.signal)
    await publish({ zone_id: 'z', agent_session_id: 'forged', reason: 'x' }, false)
    const good = signEntry(keys.streams, stream, { zone_id: 'z', agent_session_id: 'ok', reason: 'x' })
    await publish({ ...good, agent_session_id: 'moved' }, false)
    await publish({ zone_id: 'z', agent_session_id: 'after', reason: 'x' })
    await eventually(() => set.isRevoked(only('sessions', 'after')))
    expect(counters.revocation_invalid_signatures).toBe(2)
    expect(set.isRevoked(only('sessions', 'forged', 'moved'))).toBe(false)
    expect((await bus.group(stream, 'gateway-revocation:h4').stats()).pending).toBe(0)
    stop.abort()
    await running
  })

  it('survives the loss of its group', async () => {
    const { set, consumer: reader } = consumer('h5')
    await reader.prepare()
    const stop = new AbortController()
    const running = reader.run(stop.signal)
    await database.admin`delete from bus_cursor where grp = 'gateway-revocation:h5'`
    await eventually(async () => {
      await publish({ zone_id: 'z', agent_session_id: 's-5', reason: 'x' })
      return set.isRevoked(only('sessions', 's-5'))
    })
    stop.abort()
    await running
  })
})
