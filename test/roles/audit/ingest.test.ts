import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Bus, WorkGroup } from '../../../src/platform/bus/port.ts'
import { createPostgresBus, type PostgresBus } from '../../../src/platform/bus/postgres.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import type { Role } from '../../../src/platform/role.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { type AuditEvent, createAudit, createAuditSink, verifyChain } from '../../../src/roles/audit/index.ts'
import { processBatch, readyBatch } from '../../../src/roles/audit/ingest/process.ts'
import { lockChains } from '../../../src/roles/audit/store/chain.ts'
import { createTestDatabase, databaseSettings, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { heard } from '../../fixtures/heard.ts'
import { testSettings } from '../../fixtures/settings.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const hmac = { current: secret, accepted: [secret] }
const keys = { audit: hmac, streams: hmac, gatewaySts: hmac, idempotency: hmac }
const log = pino({ level: 'silent' })

let store: TestDatabase
let bus: PostgresBus
let role: Role
let directory: string

beforeAll(async () => {
  store = await createTestDatabase()
  bus = createPostgresBus({ db: store.db, log, pollMs: 50 })
  role = createAudit({ settings: testSettings(), db: store.db, bus, keys, log, metrics: createRegistry() })
  await role.prepare(new AbortController().signal)
  directory = await mkdtemp(join(tmpdir(), 'caracal-journal-'))
})
afterAll(async () => {
  await role[Symbol.asyncDispose]()
  await bus[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

function event(zoneId: string, overrides: Partial<AuditEvent> = {}): AuditEvent {
  return {
    id: uuidv7(),
    zone_id: zoneId,
    event_type: 'token_exchange',
    request_id: 'req-1',
    decision: 'allow',
    evaluation_status: 'complete',
    determining_policies_json: [],
    diagnostics_json: [],
    occurred_at: new Date().toISOString(),
    ...overrides,
  }
}

const sinkOn = (target: Bus, name: string) =>
  createAuditSink({
    bus: target,
    keys,
    directory: join(directory, name),
    log,
    metrics: createRegistry(),
    metricPrefix: 'caracal_sts',
  })

async function stored(zoneId: string): Promise<number> {
  const [row] = await store.db.sql<{ count: number }[]>`
    select count(*)::int as count from audit_events where zone_id = ${zoneId}`
  return row?.count ?? 0
}

/** The bus as it looks while its store is away. */
const unreachable: Bus = {
  ...({} as Bus),
  publish: async (entries) => entries.map(() => ({ ok: false, reason: 'unavailable', message: 'away' })),
  ping: async () => {
    throw new Error('away')
  },
}

describe('from producer to ledger', () => {
  it('stores what the sink accepted, in one verifiable chain', async () => {
    await using sink = sinkOn(bus, 'live')
    const outcomes = await Promise.all(Array.from({ length: 250 }, () => sink.emit(event('zone-a'))))
    expect(new Set(outcomes)).toEqual(new Set(['bus']))
    await eventually(async () => (await stored('zone-a')) === 250, { timeoutMs: 10_000 })
    expect(await verifyChain(store.db, hmac, 'zone-a')).toMatchObject({ checked: 250, findings: [] })
    expect((await bus.group('caracal.audit.events', 'audit-ingestor').stats()).pending).toBe(0)
    expect((await role.app.request('/ready')).status).toBe(200)
  })

  it('21.5 dead-letters what is unsigned, foreign, empty or not an event', async () => {
    const good = event('zone-b')
    const data = JSON.stringify(good)
    await bus.publish(
      [{ id: good.id, data }, { id: good.id, data, sig: '0'.repeat(64) }, { id: good.id }].map((fields) => ({
        stream: 'caracal.audit.events',
        fields,
      })),
    )
    const letters = await eventually(async () => {
      const found = await bus.range('caracal.audit.events.dlq', '-', 10)
      return found.length >= 3 ? found : null
    })
    expect(letters.map((letter) => letter.fields.reason).sort()).toEqual([
      'hmac_verify_failed',
      'hmac_verify_failed',
      'missing_data_field',
    ])
    expect(letters[0]?.fields).toMatchObject({ src_event_id: good.id, src_id: expect.any(String) })
    expect(await stored('zone-b')).toBe(0)
  })

  it('a chain that another replica holds past the time-out of a statement costs its events nothing', async () => {
    await using hasty = await store.open({ settings: { ...databaseSettings, DB_STATEMENT_TIMEOUT_MS: 50 } })
    const acknowledged: string[] = []
    const group = { ack: async (ids: readonly string[]) => void acknowledged.push(...ids) } as WorkGroup
    const counts = {
      inserts: 0,
      parseErrors: 0,
      hmacFailures: 0,
      deadLetters: 0,
      retries: 0,
      tamperReplays: 0,
    }
    const deps = { bus, db: hasty, group, key: hmac, log, maxDeliveries: 8, counts }
    const entries = ['1-0', '2-0'].map((id) => {
      const one = event('zone-held')
      return { id, stream: 's', fields: frame(one.id, JSON.stringify(one), hmac), deliveries: 1 }
    })
    await store.db.transaction(async (tx) => {
      await lockChains(tx, ['zone-held'])
      await processBatch(deps, await readyBatch(deps, entries))
    })
    expect(counts).toMatchObject({ inserts: 0, retries: 2, deadLetters: 0 })
    expect(acknowledged).toEqual([])
    await processBatch(deps, await readyBatch(deps, entries))
    expect(acknowledged).toEqual(['1-0', '2-0'])
    expect(await stored('zone-held')).toBe(2)
  })
})

describe('the replay journal', () => {
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it('21.21 keeps events on disk, owner-only, while the bus is away, and delivers them once it is back', async () => {
    await using away = sinkOn(unreachable, 'outage')
    const events = Array.from({ length: 3 }, () => event('zone-c'))
    expect(await Promise.all(events.map((one) => away.emit(one)))).toEqual(['journal', 'journal', 'journal'])
    const [file] = await readdir(join(directory, 'outage'))
    expect(file).toMatch(/^pending-.*\.ndjson$/)
    expect((await stat(join(directory, 'outage', String(file)))).mode & 0o777).toBe(0o600)
    expect(await away.readiness()).toBe('ok')
    const { log: told, lines } = heard()
    await expect(away.drainJournal(told)).rejects.toThrow('away')

    await using back = sinkOn(bus, 'outage')
    await back.drainJournal(told)
    expect(lines.map(({ msg }) => msg)).toEqual(['audit_replay_drained'])
    await eventually(async () => (await stored('zone-c')) === 3)
    expect(await readdir(join(directory, 'outage'))).toEqual([])
  })

  it('an outcome nobody waits for goes along with what is waited for, or by itself, or at the end', async () => {
    const zone = uuidv7()
    const xids = async () => {
      const rows = await store.db.sql<{ xid: string }[]>`
        select xid::text from bus_event where payload->>'data' like ${`%${zone}%`} order by seq`
      return rows.map(({ xid }) => xid)
    }
    const sink = sinkOn(bus, 'outcomes')
    sink.tell(event(zone))
    expect(await sink.emit(event(zone))).toBe('bus')
    const [first, ...others] = await xids()
    expect(others).toEqual([first])
    sink.tell(event(zone))
    await eventually(async () => (await xids()).length === 3)
    sink.tell(event(zone))
    await sink[Symbol.asyncDispose]()
    expect(await xids()).toHaveLength(4)
    await eventually(async () => (await stored(zone)) === 4)
  })

  it('closing does not wait for a bus that hangs: what it holds goes to the journal', async () => {
    const hanging: Bus = { ...unreachable, publish: () => new Promise(() => undefined) }
    const sink = sinkOn(hanging, 'hanging')
    const outcomes = [event('zone-h'), event('zone-h')].map((one) => sink.emit(one))
    await sink[Symbol.asyncDispose]()
    expect(await Promise.all(outcomes)).toEqual(['journal', 'journal'])
    await using back = sinkOn(bus, 'hanging')
    await back.drainJournal()
    await eventually(async () => (await stored('zone-h')) === 2)
  })

  it('what nobody waits for travels with a statement, and is told of in any case', async () => {
    const sink = sinkOn(bus, 'riding')
    const ride = () => {
      sink.tell(event('zone-r'))
      const [one, ...more] = bus.store?.rides.take(10) ?? []
      if (one === undefined || more.length > 0) throw new Error('not one ride')
      expect(one.entries.map(({ stream }) => stream)).toEqual(['caracal.audit.events'])
      expect(bus.store?.rides.take(10)).toEqual([])
      return one
    }
    const carried = ride()
    await bus.publish(carried.entries)
    carried.settle(true)
    ride().settle(false)
    await eventually(async () => (await stored('zone-r')) === 2)

    // One that nobody hears of again rests in the journal.
    ride()
    await eventually(async () => (await sink.stats()).journalFiles === 1, { timeoutMs: 10_000 })
    await sink.drainJournal()
    await eventually(async () => (await stored('zone-r')) === 3)

    // One that is under way when the sink closes is waited for; nothing is offered afterwards.
    const last = ride()
    const closing = sink[Symbol.asyncDispose]()
    last.settle(false)
    await closing
    await eventually(async () => (await stored('zone-r')) === 4)
    expect((await sink.stats()).journalFiles).toBe(0)
    expect(bus.store?.rides.take(10)).toEqual([])
  })

  it('21.22 says that evidence is lost when neither bus nor disk takes it, and keeps saying so', async () => {
    const blocked = join(tmpdir(), `caracal-blocked-${process.pid}`)
    await writeFile(blocked, 'a file where the directory should be')
    await using sink = createAuditSink({
      bus: unreachable,
      keys,
      directory: blocked,
      log,
      metrics: createRegistry(),
      metricPrefix: 'caracal_sts',
    })
    expect(await sink.readiness()).toBe('audit_replay_unavailable')
    expect(await sink.emit(event('zone-d'))).toBe('lost')
    await rm(blocked)
    expect(await sink.readiness()).toBe('audit_evidence_lost')
  })

  it('21.23 skips an unreadable line and delivers the others', async () => {
    await using sink = sinkOn(bus, 'torn')
    expect(await sink.readiness()).toBe('ok')
    const lines = [JSON.stringify(event('zone-e')), '{"id":', JSON.stringify(event('zone-e'))]
    await writeFile(join(directory, 'torn', 'pending-1-1-a.ndjson'), `${lines.join('\n')}\n`)
    await sink.drainJournal()
    await eventually(async () => (await stored('zone-e')) === 2)
    expect(await readdir(join(directory, 'torn'))).toEqual([])
  })
})
