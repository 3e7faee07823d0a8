/**
 * "Recorded, or not answered": a successful mutation is written to the administrative
 * chain before its response leaves; if it cannot be, the caller gets 500
 * `audit_unavailable` although the change was applied. Refusals are written after the
 * response and only for callers that are known (audit-and-events §8.1).
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Logger } from 'pino'
import type { Database } from '../db/port.ts'
import type { ErrorStyle } from '../http/error-style.ts'
import { errorOf } from '../http/errors/registry.ts'
import { renderError } from '../http/render-error.ts'
import { requestContext } from '../http/request-context.ts'
import type { HmacKey } from '../keys.ts'
import { appendAdminAction } from './append.ts'
import { changeSummary } from './change-summary.ts'
import { type EntityRules, entityOf } from './entity.ts'
import type { AdminAction, AdminActor } from './record.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** What a handler knows better than the path does. */
    adminAuditFacts: Partial<Pick<AdminAction, 'zoneId' | 'entityType' | 'entityId' | 'payload'>> | undefined
  }
}

export interface AdminAudit extends AsyncDisposable {
  /** Commits one record. Rejects when it cannot be written. */
  record(action: AdminAction): Promise<void>
  /** As `record`, for refusals: never rejects, a failure is logged. Finished before disposal ends. */
  recordLater(action: AdminAction): void
}

/** The writer of one role. Disposing waits for the records still under way. */
export function createAdminAudit(deps: {
  readonly db: Database
  readonly key: HmacKey
  readonly log: Logger
}): AdminAudit {
  const underWay = new Set<Promise<void>>()
  const record = (action: AdminAction): Promise<void> =>
    deps.db.transaction((tx) => appendAdminAction(tx, deps.key, action))

  return {
    record,
    recordLater(action) {
      const work: Promise<void> = record(action)
        .catch((error: unknown) => {
          deps.log.warn(
            { err: error, request_id: action.requestId, action: action.action },
            'admin_audit_failed',
          )
        })
        .finally(() => underWay.delete(work))
      underWay.add(work)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(underWay)
    },
  }
}

export interface AdminAuditGate {
  readonly audit: AdminAudit
  readonly errorStyle: ErrorStyle
  readonly rules: EntityRules
  /** Who called; `null` as long as nobody is authenticated. */
  readonly actorOf: (c: Context) => AdminActor | null
  /** The zone the path names. */
  readonly zoneOf: (c: Context) => string | null
  /** Members of `payload_json` that do not depend on the outcome; `null` = no payload. */
  readonly payloadOf?: (c: Context) => Readonly<Record<string, unknown>> | null
  /** Add the change summary to the payload of successes. */
  readonly summarize?: boolean
  /** `mutation`: gate it whatever its method and caller. `exempt`: never recorded. */
  readonly classify?: (c: Context) => 'mutation' | 'exempt' | null
}

const mutatingMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

async function createdIdOf(c: Context): Promise<string | null> {
  if (c.res.status !== 201 || c.req.method !== 'POST') return null
  if (!c.res.headers.get('content-type')?.includes('json')) return null
  const body: unknown = await c.res
    .clone()
    .json()
    .catch(() => null)
  const id = typeof body === 'object' && body !== null && 'id' in body ? body.id : null
  return typeof id === 'string' ? id : null
}

async function describe(c: Context, gate: AdminAuditGate): Promise<AdminAction> {
  const { method, path } = c.req
  const status = c.res.status
  const facts = c.get('adminAuditFacts') ?? {}
  const createdId = facts.entityId ?? (await createdIdOf(c))
  const entity = entityOf(path, createdId, gate.rules)
  const base = gate.payloadOf?.(c) ?? null
  const summary =
    gate.summarize && status < 400
      ? changeSummary({ method, path, body: c.get('jsonBody')?.value }, gate.rules)
      : null
  const payload = base === null && summary === null ? null : { ...base, ...summary }
  return {
    requestId: requestContext(c).requestId,
    actor: gate.actorOf(c),
    action: `${method} ${path}`,
    method,
    path,
    zoneId: gate.zoneOf(c) ?? (entity.type === 'zones' ? createdId : null),
    entityType: entity.type,
    entityId: entity.id,
    statusCode: status,
    payload,
    ...facts,
  }
}

/** The middleware; it sits before authentication so that it sees every answer of the surface. */
export function adminAuditGate(gate: AdminAuditGate): MiddlewareHandler {
  return async (c, next) => {
    await next()
    const kind = gate.classify?.(c) ?? null
    if (kind === 'exempt') return
    if (c.res.status >= 400) {
      if (gate.actorOf(c) !== null) gate.audit.recordLater(await describe(c, gate))
      return
    }
    const mutation = kind === 'mutation' || (mutatingMethods.has(c.req.method) && gate.actorOf(c) !== null)
    if (!mutation) return
    try {
      await gate.audit.record(await describe(c, gate))
    } catch (cause) {
      await c.res.body?.cancel()
      c.res = undefined
      c.res = renderError(c, errorOf('audit_unavailable', { cause }), gate.errorStyle)
    }
  }
}
