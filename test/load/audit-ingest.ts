/**
 * Evidence under load, on a Postgres of its own and in this process: what emitting costs the producer,
 * and how fast one zone's chain takes what waits on the bus. The floor is the bare insert of the same rows.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { loadSettings } from '../../src/config/load.ts'
import { createPostgresBus } from '../../src/platform/bus/postgres.ts'
import { openDatabase } from '../../src/platform/db/client.ts'
import type { Database } from '../../src/platform/db/port.ts'
import { APP_ROLE } from '../../src/platform/db/session-role.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded/start.ts'
import { uuidv7 } from '../../src/platform/ids.ts'
import { createRegistry } from '../../src/platform/observe/metrics.ts'
import { type AuditEvent, createAudit, createAuditSink, verifyChain } from '../../src/roles/audit/index.ts'
import { cpuSecondsOfFamily } from './process-cpu.ts'

export interface IngestMeasured {
  readonly events: number
  /** Synchronous work of `emit` for one event, microseconds. */
  readonly emitMicros: number
  /** CPU of this process for one event from `emit` to accepted by the bus, microseconds. */
  readonly producerMicros: number
  readonly publishedPerSecond: number
  readonly ingestedPerSecond: number
  /** CPU for one ingested event, microseconds: of this process, and of Postgres. */
  readonly ingestMicros: number
  readonly storeMicros: number
  /** Rows of the same shape inserted a thousand at a time, without chain, lock or bus. */
  readonly bareInsertsPerSecond: number
  readonly verifiedPerSecond: number
  readonly findings: number
}

const key = Buffer.alloc(32, 5)
const hmac = { current: key, accepted: [key] }
const keys = { audit: hmac, streams: hmac, gatewaySts: hmac, idempotency: hmac }

/** What an exchange tells, in full. */
export function auditEvent(zone: string): AuditEvent {
  return {
    id: uuidv7(),
    zone_id: zone,
    event_type: 'token_exchange',
    request_id: uuidv7(),
    decision: 'allow',
    policy_set_version_id: '0190f3c2-0000-7000-8000-000000000001',
    manifest_sha: 'a'.repeat(64),
    evaluation_status: 'complete',
    determining_policies_json: [{ policy: 'inventory' }],
    diagnostics_json: [],
    metadata_json: {
      application_id: '0190f3c2-0000-7000-8000-000000000002',
      application_name: 'Load',
      application_registration_method: 'managed',
      resource: 'resource://inventory',
      requested_scopes: ['inventory:read'],
      session_id: uuidv7(),
      agent_session_id: uuidv7(),
      agent_labels: ['load'],
      subject_kind: 'application',
    },
    occurred_at: new Date().toISOString(),
  }
}

/** Publishes `events` events of one zone, then starts the ingest and waits for the last of them. */
export async function measureIngest(events: number): Promise<IngestMeasured> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caracal-ingest-'))
  const log = pino({ level: 'error' })
  await using postgres = await startEmbeddedPostgres({ dataDir, log })
  // The migrations lie beside the built package, not beside this build.
  const built = new URL('../../../dist/platform/db/migrate.js', import.meta.url)
  const { migrate } = (await import(built.href)) as typeof import('../../src/platform/db/migrate.ts')
  await migrate(postgres.connection, { log })
  const settings = loadSettings({ CARACAL_MODE: 'dev', CARACAL_DATA_DIR: dataDir, LOG_LEVEL: 'error' })
  const open = () =>
    openDatabase({
      connection: postgres.connection,
      applicationName: 'caracal-bench',
      settings,
      log,
      role: APP_ROLE,
    })
  try {
    await using db = await open()
    await using bus = createPostgresBus({ db, log })
    const produced = await produce(bus, dataDir, events)
    const ingested = await ingest(db, bus, settings, events, () => cpuSecondsOfFamily(postgres.pid ?? 0))
    const startedAt = performance.now()
    const report = await verifyChain(db, hmac, 'zone-load')
    const verifiedPerSecond = (report.checked * 1000) / (performance.now() - startedAt)
    return {
      events,
      ...produced,
      ...ingested,
      verifiedPerSecond,
      findings: report.total,
      bareInsertsPerSecond: await bareInserts(db, events),
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function produce(bus: ReturnType<typeof createPostgresBus>, dataDir: string, events: number) {
  await using sink = createAuditSink({
    bus,
    keys,
    directory: join(dataDir, 'journal'),
    log: pino({ level: 'error' }),
    metrics: createRegistry(),
    metricPrefix: 'caracal_sts',
  })
  const made = Array.from({ length: events }, () => auditEvent('zone-load'))
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  let emitMs = 0
  for (let at = 0; at < events; at += 500) {
    const before = performance.now()
    const accepted = made.slice(at, at + 500).map((one) => sink.emit(one))
    emitMs += performance.now() - before
    for (const outcome of await Promise.all(accepted))
      if (outcome !== 'bus') throw new Error(`an event went to ${outcome}`)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return {
    emitMicros: (emitMs * 1000) / events,
    producerMicros: (cpu.user + cpu.system) / events,
    publishedPerSecond: events / seconds,
  }
}

async function ingest(
  db: Database,
  bus: ReturnType<typeof createPostgresBus>,
  settings: ReturnType<typeof loadSettings>,
  events: number,
  storeCpu: () => number,
): Promise<Pick<IngestMeasured, 'ingestedPerSecond' | 'ingestMicros' | 'storeMicros'>> {
  await using role = createAudit({
    settings,
    db,
    bus,
    keys,
    log: pino({ level: 'error' }),
    metrics: createRegistry(),
  })
  const cpuBefore = process.cpuUsage()
  const storeBefore = storeCpu()
  const startedAt = performance.now()
  await role.prepare(new AbortController().signal)
  for (;;) {
    const [head] = await db.sql<{ seq: number }[]>`
      select chain_seq::float8 as seq from audit_chain_heads where zone_id = 'zone-load'`
    if (head?.seq === events) break
    await sleep(20)
  }
  const cpu = process.cpuUsage(cpuBefore)
  return {
    ingestedPerSecond: (events * 1000) / (performance.now() - startedAt),
    ingestMicros: (cpu.user + cpu.system) / events,
    storeMicros: ((storeCpu() - storeBefore) * 1e6) / events,
  }
}

/** CPU seconds of the backends of a Postgres so far; those that ended are not among them. */
async function bareInserts(db: Database, events: number): Promise<number> {
  const rows = Array.from({ length: 1_000 }, () => {
    const one = auditEvent('zone-bare')
    return { ...one, metadata_json: one.metadata_json, chain_seq: 1, content_sha256: 'a'.repeat(64) }
  })
  const startedAt = performance.now()
  for (let at = 0; at < events; at += rows.length) {
    const fresh = rows.map((row) => ({ ...row, id: uuidv7() }))
    await db.sql`
      insert into audit_events (
        id, zone_id, event_type, request_id, decision, policy_set_version_id, manifest_sha, evaluation_status,
        determining_policies_json, diagnostics_json, metadata_json, occurred_at, chain_seq, content_sha256
      )
      select id, zone_id, event_type, request_id, decision, policy_set_version_id, manifest_sha, evaluation_status,
             determining_policies_json, diagnostics_json, metadata_json, occurred_at, chain_seq, content_sha256
      from jsonb_populate_recordset(null::audit_events, ${JSON.stringify(fresh)}::text::jsonb)`
  }
  return (events * 1000) / (performance.now() - startedAt)
}
