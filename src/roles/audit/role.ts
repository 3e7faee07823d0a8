/**
 * The audit role: one consumer that moves signed events from the bus into the per-zone
 * chains, and the surface that tells how far it is.
 */
import { hostname } from 'node:os'
import { auditErrors } from '../../platform/http/error-style.ts'
import { createRoleApp } from '../../platform/http/role-app.ts'
import type { Platform } from '../../platform/platform.ts'
import type { HealthReport, Role } from '../../platform/role.ts'
import { createDeadLetters } from './dead-letters.ts'
import { auditStream, ingestGroup } from './frame.ts'
import { type Consumer, startConsumer } from './ingest/consumer.ts'
import type { IngestCounts } from './ingest/process.ts'
import { registerIngestMetrics } from './ingest-metrics.ts'
import { registerKeepMetrics } from './keep-metrics.ts'
import { createLagWatch } from './lag-watch.ts'
import { createLeaders, ledBy } from './leaders.ts'
import { retain } from './retention/retain.ts'
import { mountDeadLetters } from './routes/dead-letters.ts'
import { mountMetricsJson } from './routes/metrics-json.ts'
import { operatorAccess } from './routes/operator-access.ts'
import { mountSearch } from './routes/search.ts'
import { trimStream } from './trim-stream.ts'
import { noSweepYet, sweepChains } from './verify/sweep.ts'

const hourMs = 3_600_000

export type AuditDeps = Pick<Platform, 'settings' | 'db' | 'bus' | 'keys' | 'log' | 'metrics'>

export function createAudit(deps: AuditDeps): Role {
  const { settings, db, bus, keys, log, metrics } = deps
  const counts: IngestCounts = {
    inserts: 0,
    parseErrors: 0,
    hmacFailures: 0,
    deadLetters: 0,
    retries: 0,
    tamperReplays: 0,
  }
  const group = bus.group(auditStream, ingestGroup)
  const watch = createLagWatch(bus, group)
  let consumer: Consumer | null = null
  const leaders = createLeaders(db, log)
  const sweeps = noSweepYet()
  const retention = { created: 0, dropped: 0 }
  registerIngestMetrics(metrics, counts, watch)
  registerKeepMetrics(metrics, sweeps, retention, leaders)

  const unhealthy: HealthReport = {
    status: 503,
    body: { ok: false, ready: false, reason: 'consumer_unhealthy' },
  }

  async function ready(): Promise<HealthReport> {
    const store = await db.ping(2_000).then(
      () => true,
      () => false,
    )
    if (consumer?.healthy() !== true) return unhealthy
    if (!store) return notReady('postgres_unreachable')
    if (
      bus.driver === 'redis' &&
      !(await bus.ping().then(
        () => true,
        () => false,
      ))
    ) {
      return notReady('redis_unreachable')
    }
    const exceeded = watch.exceeded(settings)
    return exceeded === null ? { status: 200, body: { ok: true, ready: true } } : notReady(exceeded)
  }

  const metricsAccess = { mode: settings.CARACAL_MODE, metricsBearer: settings.METRICS_BEARER }
  const { app, drain } = createRoleApp({
    role: 'audit',
    log,
    metrics,
    errorStyle: auditErrors,
    requestIdRule: 'token',
    trustProxy: settings.TRUST_PROXY,
    bodyLimitBytes: 65_536,
    operations: {
      ...metricsAccess,
      health: () => (consumer?.healthy() === true ? { status: 200, body: null } : unhealthy),
      ready,
    },
  })

  mountMetricsJson(app, metrics, metricsAccess)
  app.use('/api/audit/*', operatorAccess(settings.AUDIT_ADMIN_TOKEN))
  mountSearch(app, db)
  mountDeadLetters(app, createDeadLetters(bus, db))

  return {
    name: 'audit',
    app,
    drain,
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: 5_000,
      requestTimeoutMs: 10_000,
      keepAliveTimeoutMs: 60_000,
    },
    jobs: [
      {
        name: 'audit_reaper',
        intervalMs: settings.AUDIT_CLAIM_IDLE_SECS * 1000,
        run: async (context) => consumer?.reap(context),
      },
      { name: 'audit_lag_poll', intervalMs: 30_000, immediate: true, run: () => watch.poll() },
      {
        name: 'audit_stream_trim',
        intervalMs: 60_000,
        run: () => trimStream(bus, group, settings.AUDIT_STREAM_MAXLEN),
      },
      ...leaders.jobs,
      ledBy(leaders.retention, {
        name: 'audit_retention',
        intervalMs: 6 * hourMs,
        immediate: true,
        run: ({ signal }) =>
          retain(
            {
              db,
              key: keys.audit,
              log,
              counts: retention,
              maxDays: settings.AUDIT_RETENTION_DAYS,
              archive: null,
            },
            signal,
          ),
      }),
      ledBy(leaders.retention, {
        name: 'audit_tamper_sweep',
        intervalMs: hourMs,
        immediate: true,
        run: ({ signal }) =>
          sweepChains(
            {
              db,
              key: keys.audit,
              log,
              counts: sweeps,
              rollingHours: settings.AUDIT_TAMPER_ROLLING_HOURS,
            },
            signal,
          ),
      }),
    ],
    async prepare() {
      consumer = startConsumer({
        bus,
        db,
        group,
        key: keys.audit,
        log,
        counts,
        maxDeliveries: settings.AUDIT_MAX_DELIVERIES,
        claimIdleMs: settings.AUDIT_CLAIM_IDLE_SECS * 1000,
        name: settings.AUDIT_CONSUMER_NAME ?? `${hostname()}:${process.pid}`,
      })
    },
    async [Symbol.asyncDispose]() {
      await consumer?.[Symbol.asyncDispose]()
      await leaders[Symbol.asyncDispose]()
    },
  }
}

function notReady(reason: string): HealthReport {
  return { status: 503, body: { ok: false, ready: false, reason } }
}
