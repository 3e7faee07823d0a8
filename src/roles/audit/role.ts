/**
 * The audit role: one consumer that moves signed events from the bus into the per-zone
 * chains, and the surface that tells how far it is.
 */
import { auditErrors } from '../../platform/http/error-style.ts'
import { createRoleApp } from '../../platform/http/role-app.ts'
import type { Platform } from '../../platform/platform.ts'
import type { HealthReport, Role } from '../../platform/role.ts'
import { createDeadLetters } from './dead-letters.ts'
import { archive, archiveWatermark } from './export/archive.ts'
import { type ArchiveTarget, directoryTarget } from './export/archive-target.ts'
import { s3Target } from './export/s3-target.ts'
import { auditStream, ingestGroup } from './frame.ts'
import { type Consumer, startConsumer } from './ingest/consumer.ts'
import { ownName } from './ingest/consumer-name.ts'
import type { IngestCounts } from './ingest/process.ts'
import { registerIngestMetrics } from './ingest-metrics.ts'
import { registerKeepMetrics } from './keep-metrics.ts'
import { createLagWatch } from './lag-watch.ts'
import { createLeaders, ledBy } from './leaders.ts'
import { retain } from './retention/retain.ts'
import { mountDeadLetters } from './routes/dead-letters.ts'
import { mountExport } from './routes/export.ts'
import { mountMetricsJson } from './routes/metrics-json.ts'
import { operatorAccess } from './routes/operator-access.ts'
import { mountSearch } from './routes/search.ts'
import { mountTail } from './routes/tail.ts'
import { createTrimmer, trimStream } from './trim-stream.ts'
import { noSweepYet, sweepRecent, sweepWhole } from './verify/sweep.ts'

const hourMs = 3_600_000

export type AuditDeps = Pick<Platform, 'settings' | 'db' | 'bus' | 'keys' | 'log' | 'metrics'> &
  Partial<Pick<Platform, 'tracer'>>

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
  const sweeping = { db, key: keys.audit, rollingHours: settings.AUDIT_TAMPER_ROLLING_HOURS, counts: sweeps }
  const retention = { created: 0, dropped: 0 }
  const archived = { events: 0, errors: 0, durationSeconds: 0, backlogHours: 0 }
  const targets = archiveTargets(settings)
  const ended = new AbortController()
  registerIngestMetrics(metrics, counts, watch)
  registerKeepMetrics(metrics, sweeps, retention, archived, leaders)

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
    log,
    metrics,
    tracer: deps.tracer,
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
  mountExport(app, db)
  mountTail(app, db, ended.signal)

  return {
    name: 'audit',
    app,
    drain() {
      drain()
      // A tail would keep the listener waiting to the end of its patience.
      ended.abort()
    },
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
        intervalMs: 2_000,
        run: createTrimmer(
          () => trimStream(bus, group, settings.AUDIT_STREAM_MAXLEN),
          () => counts.inserts,
        ),
      },
      ...leaders.jobs,
      ledBy(leaders.retention, {
        name: 'audit_retention',
        intervalMs: 6 * hourMs,
        immediate: true,
        run: (context) =>
          retain(
            {
              db,
              key: keys.audit,
              log: context.log,
              counts: retention,
              maxDays: settings.AUDIT_RETENTION_DAYS,
              archive: targets.length === 0 ? null : archiveWatermark,
            },
            context.signal,
          ),
      }),
      ...(targets.length === 0
        ? []
        : [
            ledBy(leaders.export, {
              name: 'audit_archive',
              // Between two hours, so that one is taken soon after it counts as complete.
              intervalMs: hourMs / 6,
              immediate: true,
              run: (context) =>
                archive(
                  {
                    db,
                    log: context.log,
                    targets,
                    scratch: settings.AUDIT_EXPORT_TMP_DIR,
                    counts: archived,
                  },
                  context.signal,
                ),
            }),
          ]),
      ledBy(leaders.retention, {
        name: 'audit_tamper_sweep',
        intervalMs: hourMs,
        immediate: true,
        run: (context) => sweepRecent({ ...sweeping, log: context.log }, context.signal),
      }),
      ledBy(leaders.retention, {
        name: 'audit_tamper_whole_sweep',
        intervalMs: hourMs,
        immediate: true,
        run: (context) => sweepWhole({ ...sweeping, log: context.log }, context.signal),
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
        tracer: deps.tracer,
        maxDeliveries: settings.AUDIT_MAX_DELIVERIES,
        claimIdleMs: settings.AUDIT_CLAIM_IDLE_SECS * 1000,
        name: settings.AUDIT_CONSUMER_NAME ?? ownName,
      })
    },
    async [Symbol.asyncDispose]() {
      ended.abort()
      await consumer?.[Symbol.asyncDispose]()
      await leaders[Symbol.asyncDispose]()
    },
  }
}

function notReady(reason: string): HealthReport {
  return { status: 503, body: { ok: false, ready: false, reason } }
}

function archiveTargets(settings: AuditDeps['settings']): ArchiveTarget[] {
  const { AUDIT_EXPORT_DIR: directory, AUDIT_EXPORT_S3_BUCKET: bucket } = settings
  return [
    ...(directory === null ? [] : [directoryTarget(directory)]),
    ...(bucket === null ? [] : [s3Target(settings, bucket)]),
  ]
}
