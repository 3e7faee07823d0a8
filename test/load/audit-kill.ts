/**
 * One zone takes events at a steady rate while the ingesting process is killed in the middle and started
 * again: what is lost, repeated or out of place in the end, and how soon the ledger is up to date again.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
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
import { createRegistry } from '../../src/platform/observe/metrics.ts'
import { type AuditSink, createAuditSink, verifyChain } from '../../src/roles/audit/index.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { auditEvent } from './audit-ingest.ts'
import { quantile } from './closed-loop.ts'
import { runCaracal } from './run-caracal.ts'
import { createServerProcess, untilReady } from './server-process.ts'

export interface KillMeasured {
  readonly events: number
  readonly perSecond: number
  /** Emitted and not in the ledger; in the ledger more than once or never emitted. */
  readonly lost: number
  readonly repeated: number
  readonly deadLetters: number
  readonly findings: number
  /** From the kill to the moment from which on the ledger was less than a second behind. */
  readonly behindMs: number
  /** By how much the ledger was behind from then on, milliseconds. */
  readonly lagP50: number
  readonly lagP99: number
}

const zone = 'zone-killed'

export async function killUnderIngest(perSecond: number, seconds: number): Promise<KillMeasured> {
  const directory = await mkdtemp(join(tmpdir(), 'caracal-audit-kill-'))
  await chmod(directory, 0o711)
  const log = pino({ level: 'error' })
  const [storePort = 0, port = 0] = await freePorts(2)
  await using postgres = await startEmbeddedPostgres({
    dataDir: join(directory, 'postgres'),
    log,
    port: storePort,
    settings: { listen_addresses: '127.0.0.1' },
  })
  const { user, password, database } = postgres.connection
  const secret = randomBytes(32)
  const env = {
    CARACAL_MODE: 'dev',
    CARACAL_DATA_DIR: directory,
    DATABASE_URL: `postgres://${user}:${password}@127.0.0.1:${storePort}/${database}`,
    AUDIT_HMAC_KEY: secret.toString('hex'),
    AUDIT_PORT: String(port),
    // Started again under its name, it goes on at once with what it had in hand.
    AUDIT_CONSUMER_NAME: 'bench',
    LOG_LEVEL: 'error',
  }
  const migrated = await runCaracal(['migrate'], env)
  if (migrated.code !== 0) throw new Error(`caracal migrate: ${migrated.stderr}`)
  const server = createServerProcess({
    name: 'audit',
    args: ['--role=audit'],
    urls: [`http://127.0.0.1:${port}`],
    cwd: directory,
    env,
    logFile: join(directory, 'audit.log'),
  })
  const hmac = { current: secret, accepted: [secret] }
  const settings = loadSettings({ CARACAL_MODE: 'dev', CARACAL_DATA_DIR: directory, LOG_LEVEL: 'error' })
  const login = {
    connection: env.DATABASE_URL,
    applicationName: 'caracal-bench',
    settings,
    log,
    role: APP_ROLE,
  }
  try {
    server.start()
    await untilReady(server)
    await using db = await openDatabase(login)
    await using bus = createPostgresBus({ db, log })
    await using sink = createAuditSink({
      bus,
      keys: { audit: hmac },
      directory: join(directory, 'journal'),
      log,
      metrics: createRegistry(),
      metricPrefix: 'caracal_sts',
    })
    const sent = new Map<string, number>()
    const emitting = emitAtRate(sink, sent, perSecond, seconds)
    await sleep((seconds * 1000) / 2)
    await server.end('SIGKILL')
    const killedAt = performance.now()
    server.start()
    const lag = await watchLag(db, sent, emitting, killedAt)
    const rows = await db.sql<{ id: string }[]>`select id from audit_events where zone_id = ${zone}`
    const stored = new Set(rows.map(({ id }) => id))
    const report = await verifyChain(db, hmac, zone)
    return {
      events: sent.size,
      perSecond: sent.size / ((await emitting) / 1000),
      lost: [...sent.keys()].filter((id) => !stored.has(id)).length,
      repeated: rows.length - [...stored].filter((id) => sent.has(id)).length,
      deadLetters: await bus.length('caracal.audit.events.dlq'),
      findings: report.total,
      ...lag,
    }
  } finally {
    await server.end('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
}

/** Answers how many milliseconds it took; `sent` has when each event was accepted. */
async function emitAtRate(
  sink: AuditSink,
  sent: Map<string, number>,
  perSecond: number,
  seconds: number,
): Promise<number> {
  const began = performance.now()
  const total = perSecond * seconds
  const batch = Math.max(1, Math.round(perSecond / 50))
  for (let made = 0; made < total; ) {
    const events = Array.from({ length: Math.min(batch, total - made) }, () => auditEvent(zone))
    made += events.length
    for (const outcome of await Promise.all(events.map((one) => sink.emit(one))))
      if (outcome !== 'bus') throw new Error(`an event went to ${outcome}`)
    const now = performance.now()
    for (const one of events) sent.set(one.id, now)
    const ahead = (made / perSecond) * 1000 - (now - began)
    if (ahead > 0) await sleep(ahead)
  }
  return performance.now() - began
}

/**
 * Until everything that was sent is stored. Events are accepted in order, so the ledger is as far behind
 * as the first one is old that its count does not reach.
 */
async function watchLag(
  db: Database,
  sent: ReadonlyMap<string, number>,
  emitting: Promise<number>,
  killedAt: number,
): Promise<Pick<KillMeasured, 'behindMs' | 'lagP50' | 'lagP99'>> {
  let over = false
  void emitting.finally(() => {
    over = true
  })
  const seen: { readonly at: number; readonly lag: number }[] = []
  const accepted: number[] = []
  const deadline = performance.now() + 180_000
  for (;;) {
    const [head] = await db.sql<{ seq: number }[]>`
      select chain_seq::float8 as seq from audit_chain_heads where zone_id = ${zone}`
    const seq = head?.seq ?? 0
    const now = performance.now()
    let at = 0
    for (const instant of sent.values()) if (at++ >= accepted.length) accepted.push(instant)
    const lag = seq >= accepted.length ? 0 : now - (accepted[seq] ?? now)
    seen.push({ at: now, lag })
    if (over && seq >= sent.size) break
    if (now > deadline) break
    await sleep(50)
  }
  await emitting
  const late = seen.findLastIndex(({ lag }) => lag >= 1000)
  const behindMs = late < 0 ? 0 : (seen[late]?.at ?? killedAt) - killedAt
  const lags = seen.slice(late + 1).map(({ lag }) => lag)
  lags.sort((a, b) => a - b)
  return { behindMs, lagP50: quantile(lags, 0.5), lagP99: quantile(lags, 0.99) }
}
