/**
 * The door of the coordinator: agent sessions and the delegation graph. It runs no agent code,
 * evaluates no policy and issues no mandates.
 */
import type { Context } from 'hono'
import type { EntityRules } from '../../platform/admin-audit/entity.ts'
import { adminAuditGate, createAdminAudit } from '../../platform/admin-audit/gate.ts'
import { coordinatorErrors } from '../../platform/http/error-style.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { createRoleApp } from '../../platform/http/role-app.ts'
import { idPattern } from '../../platform/http/validate.ts'
import { createKeySet, KeySetUnavailable } from '../../platform/jose/key-set.ts'
import { createMandateVerifier } from '../../platform/jose/mandate-verifier.ts'
import type { Role } from '../../platform/role.ts'
import { authenticate } from './authenticate.ts'
import type { Caller } from './caller.ts'
import type { CoordinatorContext, CoordinatorDeps } from './deps.ts'
import { operatorMay } from './operator-routes.ts'
import { readiness } from './readiness.ts'
import { delegationRoutes } from './routes/delegations.ts'
import { sessionRoutes } from './routes/sessions.ts'

export type { CoordinatorDeps } from './deps.ts'
export { type EndDeps, type EndedTree, endSessions } from './end-sessions.ts'

declare module 'hono' {
  interface ContextVariableMap {
    coordinatorCaller: Caller
  }
}

const entities: EntityRules = {
  collections: new Set(['agents', 'agent-services', 'delegations', 'invocations', 'applications', 'outbox']),
  pseudoIds: new Set(['active', 'inbound', 'outbound']),
}

/** Verified session mandates to remember: an SDK uses one for minutes. */
const rememberedMandates = 4096

export function createCoordinator(deps: CoordinatorDeps): Role {
  const { settings, db } = deps
  const keys = createKeySet({
    source: (zoneId) => deps.sts.zoneKeys(zoneId),
    ttlMs: 600_000,
    maxZones: settings.JWKS_CACHE_MAX,
  })
  const verifier = createMandateVerifier({ keys, remember: rememberedMandates })
  const issuer = required(settings.ISSUER_URL, 'ISSUER_URL')
  const context: CoordinatorContext = {
    ...deps,
    proof: { verifier, issuer, required: settings.COORDINATOR_SUBJECT_PROOF === 'required' },
  }
  const { app, drain } = createRoleApp({
    role: 'coordinator',
    log: deps.log,
    metrics: deps.metrics,
    errorStyle: coordinatorErrors,
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
    },
  })

  const adminAudit = createAdminAudit({ db, key: deps.keys.audit, log: deps.log })
  app.use(
    '/zones/:zoneId/*',
    adminAuditGate({
      audit: adminAudit,
      errorStyle: coordinatorErrors,
      rules: entities,
      zoneOf: (c) => c.req.param('zoneId') ?? null,
      actorOf: (c) => {
        const caller = c.get('coordinatorCaller') as Caller | undefined
        if (caller === undefined) return null
        return { id: caller.subject, name: caller.clientId, scope: [...caller.scopes].join(' ') }
      },
    }),
  )
  app.use('/zones/:zoneId/*', async (c, next) => {
    const zoneId = c.req.param('zoneId')
    if (!idPattern.test(zoneId)) throw errorOf('invalid_params')
    const caller = await authenticate(
      {
        db,
        verifier,
        issuer,
        requiredScope: required(settings.AGENT_COORDINATOR_SCOPE, 'AGENT_COORDINATOR_SCOPE'),
        operatorToken: settings.CARACAL_COORDINATOR_TOKEN,
      },
      c.req.header('authorization'),
      zoneId,
      operatorMay(c.req.method, c.req.path),
    )
    c.set('coordinatorCaller', caller)
    await next()
  })
  const callerOf = (c: Context): Caller => c.get('coordinatorCaller')
  sessionRoutes(app, context, callerOf)
  delegationRoutes(app, context, callerOf)

  return {
    name: 'coordinator',
    app,
    drain,
    jobs: [],
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      requestTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      keepAliveTimeoutMs: settings.KEEP_ALIVE_TIMEOUT_MS,
    },
    prepare: async () => undefined,
    [Symbol.asyncDispose]: () => adminAudit[Symbol.asyncDispose](),
  }
}

function required(value: string | null, name: string): string {
  if (value === null) throw new Error(`${name} is required`)
  return value
}
