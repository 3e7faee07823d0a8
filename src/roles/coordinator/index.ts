/**
 * The door of the coordinator: agent sessions, their services and invocations, and the delegation
 * graph. It runs no agent code, evaluates no policy and issues no mandates.
 */
import { requireSetting } from '../../config/load.ts'
import type { Tail } from '../../platform/bus/port.ts'
import { coordinatorErrors } from '../../platform/http/error-style.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import type { OperationEntry } from '../../platform/http/operation.ts'
import { createRoleApp } from '../../platform/http/role-app.ts'
import { createKeySet, KeySetUnavailable } from '../../platform/jose/key-set.ts'
import { createMandateVerifier } from '../../platform/jose/mandate-verifier.ts'
import type { Role } from '../../platform/role.ts'
import { createSessionChanges } from './change-queue.ts'
import { startCounting } from './counts.ts'
import type { CoordinatorContext, CoordinatorDeps } from './deps.ts'
import { groupRecords } from './group-records.ts'
import { coordinatorJobs } from './jobs.ts'
import { followKeyChanges } from './key-changes.ts'
import { registerCoordinatorMetrics } from './metrics.ts'
import { readyLimit } from './rate-limits.ts'
import { readiness } from './readiness.ts'
import { createReceiptCounts } from './receipt-counts.ts'
import { delegationRoutes } from './routes/delegations.ts'
import { invocationRoutes } from './routes/invocations.ts'
import { outboxRoutes } from './routes/outbox.ts'
import { publicRoutes, verifyErrors, verifyPath } from './routes/public.ts'
import { serviceRoutes } from './routes/services.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { createIdentityCheck } from './store/live-identities.ts'
import { declareOn, mountAuthentication, mountGlobalLimit } from './surface.ts'
import { createTotals } from './totals.ts'

export type { CoordinatorDeps } from './deps.ts'
export { endSessions } from './end-sessions.ts'

/** Verified session mandates to remember: an SDK uses one for minutes. */
const rememberedMandates = 4096
/** Keys older than this verify nothing (coordinator §2.3). */
const keysMaxAgeMs = 600_000

export function createCoordinator(deps: CoordinatorDeps): Role {
  const { settings, db } = deps
  const keySet = createKeySet({
    source: (zoneId) => deps.sts.zoneKeys(zoneId),
    ttlMs: keysMaxAgeMs,
    maxZones: settings.JWKS_CACHE_MAX,
  })
  const verifier = createMandateVerifier({ keys: keySet, remember: rememberedMandates })
  const counts = startCounting()
  const receiptCounts = createReceiptCounts()
  const context: CoordinatorContext = {
    ...deps,
    verifier,
    isLive: createIdentityCheck(db),
    issuer: requireSetting(settings, 'ISSUER_URL'),
    requiredScope: requireSetting(settings, 'AGENT_COORDINATOR_SCOPE'),
    adminAudit: groupRecords(deps),
    counts,
    receiptCounts,
    changes: createSessionChanges({ ...deps, counts, receiptCounts }),
  }
  const totals = createTotals(db)
  registerCoordinatorMetrics(deps.metrics, context.counts, totals)

  const { app, drain } = createRoleApp({
    log: deps.log,
    metrics: deps.metrics,
    tracer: deps.tracer,
    errorStyle: coordinatorErrors,
    realm: 'caracal-coordinator',
    errorStyleFor: (path) => (path === verifyPath ? verifyErrors : null),
    mapError: (error) =>
      error instanceof KeySetUnavailable ? errorOf('invalid_token', { cause: error }) : null,
    requestIdRule: 'token',
    trustProxy: settings.TRUST_PROXY,
    bodyLimitBytes: settings.COORDINATOR_BODY_LIMIT_BYTES,
    operations: {
      mode: settings.CARACAL_MODE,
      metricsBearer: settings.METRICS_BEARER,
      metricsOperatorToken: settings.CARACAL_COORDINATOR_TOKEN,
      health: () => ({ status: 200, body: { ok: true } }),
      ready: () => readiness(deps),
      readyLimit: readyLimit(deps),
    },
  })
  const entries: OperationEntry[] = []
  mountGlobalLimit(app, context)
  publicRoutes(app, context, totals, entries)
  mountAuthentication(app, context)
  const declare = declareOn(app, entries)
  sessionRoutes(declare, context)
  serviceRoutes(declare, context)
  invocationRoutes(declare, context)
  delegationRoutes(declare, context)
  outboxRoutes(declare, context)

  let tail: Tail | null = null
  return {
    name: 'coordinator',
    app,
    drain,
    jobs: coordinatorJobs(context),
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      requestTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      keepAliveTimeoutMs: settings.KEEP_ALIVE_TIMEOUT_MS,
    },
    async prepare() {
      tail = await followKeyChanges(deps, keySet, verifier)
    },
    async [Symbol.asyncDispose]() {
      await tail?.[Symbol.asyncDispose]()
      await context.adminAudit[Symbol.asyncDispose]()
    },
  }
}
