/**
 * "Recorded, or not answered": a successful mutation is written to the administrative
 * chain before its response leaves; if it cannot be, the caller gets 500
 * `audit_unavailable` although the change was applied. Refusals are written after the
 * response and only for callers that are known (audit-and-events §8.1).
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Logger } from 'pino'
import type { Database, Tx } from '../db/port.ts'
import type { ErrorStyle } from '../http/error-style.ts'
import { errorOf } from '../http/errors/registry.ts'
import { renderError } from '../http/render-error.ts'
import { requestContext } from '../http/request-context.ts'
import { idPattern } from '../ids.ts'
import type { HmacKey } from '../keys.ts'
import { appendAdminAction, openAdminRecord } from './append.ts'
import { summaryForRecord } from './change-summary.ts'
import { type EntityRules, entityOf } from './entity.ts'
import type { AdminAction, AdminActor } from './record.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** What a handler knows better than the path does. */
    adminAuditFacts: Partial<Pick<AdminAction, 'zoneId' | 'entityType' | 'entityId' | 'payload'>> | undefined
    /** For a handler whose transaction carries its own record; absent where records have payloads. */
    adminRecord: RecordWithin | undefined
  }
}

/**
 * Takes the request's place in the chain of its zone, to be written when the outcome is known. In the lock
 * order of a transaction it comes after spawn and graph and before rows (storage-and-operations §7.2). A
 * transaction that does not commit leaves no record, and the gate writes that of the refusal.
 */
export type OpenRecord = (tx: Tx) => Promise<WriteRecord>
export type WriteRecord = (outcome: Outcome) => void

interface Outcome {
  readonly status: number
  readonly entityId?: string
}

/** The record of a request, for the transaction of its change. */
export interface RecordWithin {
  readonly open: OpenRecord
  /** True when the store refused the record itself: the change must then be made without it. */
  readonly refused: () => boolean
  /** For a transaction that writes the records of several requests: this one's action, … */
  readonly describe: (outcome: Outcome) => AdminAction
  /** … called when it has committed, … */
  readonly written: () => void
  /** … and when the store refused the record. */
  readonly refuse: () => void
}

export interface AdminAudit extends AsyncDisposable {
  /** Locks the chain of a zone for the transaction; what it answers writes an action of that zone. `onRefused` hears that the store refused either. */
  open(tx: Tx, zoneId: string | null, onRefused: () => void): Promise<(action: AdminAction) => void>
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
    open: (tx, zoneId, onRefused) => openAdminRecord(tx, deps.key, zoneId, onRefused),
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
  /** The zone the path names; the record is without a zone when that has not the form of an id. */
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

function zoneOf(c: Context, gate: AdminAuditGate): string | null {
  const named = gate.zoneOf(c)
  return named !== null && idPattern.test(named) ? named : null
}

async function describeAnswer(c: Context, gate: AdminAuditGate): Promise<AdminAction> {
  const createdId = c.get('adminAuditFacts')?.entityId ?? (await createdIdOf(c))
  return describe(c, gate, c.res.status, createdId)
}

function describe(c: Context, gate: AdminAuditGate, status: number, createdId: string | null): AdminAction {
  const { method, path } = c.req
  const facts = c.get('adminAuditFacts') ?? {}
  const entity = entityOf(path, createdId, gate.rules)
  const base = gate.payloadOf?.(c) ?? null
  const summary =
    gate.summarize && status < 400
      ? summaryForRecord({ method, path, body: c.get('jsonBody')?.value }, gate.rules, requestContext(c).log)
      : null
  const payload = base === null && summary === null ? null : { ...base, ...summary }
  return {
    requestId: requestContext(c).requestId,
    actor: gate.actorOf(c),
    action: `${method} ${path}`,
    method,
    path,
    zoneId: zoneOf(c, gate) ?? (entity.type === 'zones' ? createdId : null),
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
    let recorded = false
    let refused = false
    if (gate.summarize !== true && gate.payloadOf === undefined) {
      const describeOutcome = ({ status, entityId }: Outcome) => describe(c, gate, status, entityId ?? null)
      const written = (): void => {
        recorded = true
      }
      const refuse = (): void => {
        refused = true
      }
      const open: OpenRecord = async (tx) => {
        const write = await gate.audit.open(tx, zoneOf(c, gate), refuse)
        return (outcome) => {
          write(describeOutcome(outcome))
          tx.onCommit(written)
        }
      }
      c.set('adminRecord', { open, refused: () => refused, describe: describeOutcome, written, refuse })
    }
    await next()
    if (recorded && c.res.status < 400) return
    const kind = gate.classify?.(c) ?? null
    if (kind === 'exempt') return
    if (c.res.status >= 400) {
      if (gate.actorOf(c) !== null) gate.audit.recordLater(await describeAnswer(c, gate))
      return
    }
    const mutation = kind === 'mutation' || (mutatingMethods.has(c.req.method) && gate.actorOf(c) !== null)
    if (!mutation) return
    try {
      await gate.audit.record(await describeAnswer(c, gate))
    } catch (cause) {
      await c.res.body?.cancel()
      c.res = undefined
      c.res = renderError(c, errorOf('audit_unavailable', { cause }), gate.errorStyle)
    }
  }
}
