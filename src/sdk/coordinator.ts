/** The coordinator's routes as a client calls them (sdk-cli-console §5.3). */
import { randomBytes } from 'node:crypto'
import { pause, withDeadline } from './deadline.ts'
import { CoordinatorError } from './errors.ts'
import type { CaracalEvent } from './events.ts'
import { failureOf } from './network-failure.ts'
import { jsonObject, readText, retryAfterSeconds, textMember } from './read-body.ts'

export interface CoordinatorOptions {
  readonly baseUrl: string
  readonly fetchImpl?: typeof fetch | undefined
  /** Per request; default 10 000. */
  readonly timeoutMs?: number | undefined
  readonly onEvent?: ((event: CaracalEvent) => void) | undefined
}

/** What every call carries. */
export interface CallContext {
  readonly zoneId: string
  readonly token: string
  readonly trace?: Trace | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Trace {
  readonly traceId?: string | undefined
  readonly traceFlags?: string | undefined
  readonly traceState?: string | undefined
}

export interface StartSessionBody {
  readonly application_id: string
  readonly subject_session_id?: string | undefined
  readonly subject_token?: string | undefined
  readonly parent_id?: string | undefined
  readonly lifecycle?: 'service' | undefined
  readonly ttl_seconds?: number | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly labels?: readonly string[] | undefined
  readonly parent_authority?: 'inherit' | 'none' | undefined
}

export interface StartedSession {
  readonly sessionId: string
  /** The inherited delegation, if any. */
  readonly delegationId: string | undefined
  readonly deadlineAt: Date | undefined
  readonly leaseGeneration: number | undefined
  readonly replayed: boolean
}

export interface Lease {
  readonly status: string | undefined
  readonly deadlineAt: Date | undefined
  readonly leaseGeneration: number
}

export interface CreateDelegationBody {
  readonly issuer_application_id: string
  readonly source_session_id: string
  readonly target_session_id: string
  readonly receiver_application_id: string
  readonly parent_edge_id?: string | undefined
  readonly resource_id?: string | undefined
  readonly scopes: readonly string[]
  readonly constraints?: Readonly<Record<string, unknown>> | undefined
  readonly ttl_seconds?: number | undefined
}

export interface CreatedDelegation {
  readonly delegationId: string
  readonly scopes: readonly string[]
  readonly expiresAt: string | undefined
}

export interface InboundDelegation {
  readonly id: string
  readonly status: string
  readonly expiresAt: string | undefined
}

export type HeartbeatStatus = 'starting' | 'healthy' | 'degraded' | 'unhealthy'

export interface CoordinatorClient {
  startSession(
    call: CallContext,
    body: StartSessionBody,
    idempotency: { readonly key: string; readonly generated: boolean },
  ): Promise<StartedSession>
  endSession(call: CallContext, sessionId: string, leaseGeneration?: number): Promise<void>
  heartbeat(
    call: CallContext,
    sessionId: string,
    status: HeartbeatStatus,
    leaseGeneration: number,
  ): Promise<Lease>
  lease(call: CallContext, sessionId: string): Promise<Lease>
  /** With a key the request is repeated once on network failure and 5xx; without one never. */
  createDelegation(
    call: CallContext,
    body: CreateDelegationBody,
    idempotencyKey?: string,
  ): Promise<CreatedDelegation>
  revokeDelegation(call: CallContext, delegationId: string): Promise<void>
  listInbound(call: CallContext, sessionId: string): Promise<readonly InboundDelegation[]>
  getInbound(call: CallContext, sessionId: string, delegationId: string): Promise<InboundDelegation>
}

interface Request {
  readonly method: string
  readonly path: readonly string[]
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly retries?: number
  readonly traced?: boolean
}

interface Answer {
  readonly body: Readonly<Record<string, unknown>>
  readonly replayed: boolean
}

const longestAnswer = 1024 * 1024
const longestRetryAfterMs = 10_000

export function createCoordinatorClient(options: CoordinatorOptions): CoordinatorClient {
  const base = options.baseUrl.replace(/\/+$/, '')
  const timeoutMs = options.timeoutMs ?? 10_000
  const send = options.fetchImpl ?? fetch
  const tell = options.onEvent ?? (() => undefined)

  async function once(call: CallContext, request: Request): Promise<Answer> {
    const path = `/zones/${[call.zoneId, ...request.path].map(encodeURIComponent).join('/')}`
    const { method } = request
    const began = performance.now()
    let status = 0
    let ok = false
    let replayed = false
    let failure: CoordinatorError | undefined
    try {
      return await withDeadline(timeoutMs, [call.signal], async (signal) => {
        const headers: Record<string, string> = {
          authorization: `Bearer ${call.token}`,
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(request.traced === true ? traceHeaders(call.trace) : {}),
          ...request.headers,
        }
        const response = await send(`${base}${path}`, {
          method,
          headers,
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
          redirect: 'manual',
          signal,
        })
        status = response.status
        replayed = response.headers.get('idempotency-replayed') === 'true'
        const text = await readText(response, longestAnswer)
        if (!response.ok) {
          failure = coordinatorError(method, path, response, text)
          throw failure
        }
        const body = status === 204 || text === '' ? {} : jsonObject(text)
        if (body === null)
          throw new TypeError(`coordinator ${method} ${path} answered something other than JSON`)
        ok = true
        return { body, replayed }
      })
    } catch (error) {
      if (status !== 0 || call.signal?.aborted) throw error
      throw new Error(`coordinator ${method} ${path} got no answer: ${failureOf(error)}`, { cause: error })
    } finally {
      tell({
        type: 'coordinator.call',
        method,
        path,
        status,
        ok,
        durationMs: performance.now() - began,
        ...(replayed ? { replayed } : {}),
        ...(failure === undefined ? {} : { code: failure.code, requestId: failure.requestId }),
      })
    }
  }

  async function perform(call: CallContext, request: Request): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await once(call, request)
      } catch (error) {
        if (attempt >= (request.retries ?? 0) || call.signal?.aborted || !maySucceedAgain(error)) throw error
        await pause(backoffMs(error, attempt), call.signal)
      }
    }
  }

  return {
    async startSession(call, body, idempotency) {
      const { body: answer, replayed } = await perform(call, {
        method: 'POST',
        path: ['agents'],
        body,
        headers: {
          'idempotency-key': idempotency.key,
          ...(idempotency.generated ? { 'idempotency-key-kind': 'generated' } : {}),
        },
        retries: 2,
        traced: true,
      })
      const generation = answer.lease_generation
      if (generation !== undefined && generation !== null && !isGeneration(generation, 0))
        throw new TypeError('coordinator answered a lease_generation that is not a number')
      return {
        sessionId: required(answer.agent_session_id, 'agent_session_id'),
        delegationId: textMember(answer.delegation_edge_id),
        deadlineAt: instant(answer.heartbeat_deadline_at),
        leaseGeneration: isGeneration(generation, 0) ? generation : undefined,
        replayed,
      }
    },
    async endSession(call, sessionId, leaseGeneration) {
      await perform(call, {
        method: 'DELETE',
        path: ['agents', sessionId],
        ...(leaseGeneration === undefined ? {} : { body: { lease_generation: leaseGeneration } }),
        traced: true,
      })
    },
    async heartbeat(call, sessionId, status, leaseGeneration) {
      const { body } = await perform(call, {
        method: 'POST',
        path: ['agents', sessionId, 'heartbeat'],
        body: { status, lease_generation: leaseGeneration },
        traced: true,
      })
      return leaseOf(typeof body.agent === 'object' && body.agent !== null ? { ...body.agent } : {})
    },
    async lease(call, sessionId) {
      const { body } = await perform(call, { method: 'POST', path: ['agents', sessionId, 'lease'] })
      return leaseOf(body)
    },
    async createDelegation(call, body, idempotencyKey) {
      const { body: answer } = await perform(call, {
        method: 'POST',
        path: ['delegations'],
        body,
        ...(idempotencyKey === undefined
          ? {}
          : { headers: { 'idempotency-key': idempotencyKey }, retries: 1 }),
        traced: true,
      })
      return {
        delegationId: required(answer.delegation_edge_id, 'delegation_edge_id'),
        scopes: Array.isArray(answer.scopes)
          ? answer.scopes.filter((one) => typeof one === 'string')
          : body.scopes,
        expiresAt: textMember(answer.expires_at),
      }
    },
    async revokeDelegation(call, delegationId) {
      await perform(call, { method: 'PATCH', path: ['delegations', delegationId, 'revoke'], traced: true })
    },
    async listInbound(call, sessionId) {
      const { body } = await perform(call, { method: 'GET', path: ['delegations', 'inbound', sessionId] })
      return (Array.isArray(body.items) ? body.items : []).map(inboundOf)
    },
    async getInbound(call, sessionId, delegationId) {
      const path = ['delegations', 'inbound', sessionId, delegationId]
      const { body } = await perform(call, { method: 'GET', path })
      return inboundOf(Array.isArray(body.items) ? body.items[0] : body)
    },
  }
}

/** Whether the session is over: by its own end, its owner's, or because another holder has the lease. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof CoordinatorError)) return false
  return error.status === 404 || (error.status === 409 && goneCodes.has(error.code ?? ''))
}

const goneCodes: ReadonlySet<string> = new Set([
  'already_terminated',
  'session_not_live',
  'session_not_found_or_not_active',
  'session_lease_fenced',
  'session_subject_inactive',
])

function coordinatorError(method: string, path: string, response: Response, text: string): CoordinatorError {
  const body = jsonObject(text)
  return new CoordinatorError({
    method,
    path,
    status: response.status,
    code: textMember(body?.error),
    requestId: textMember(body?.request_id) ?? response.headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: retryAfterSeconds(response.headers.get('retry-after')),
    body: text,
  })
}

function maySucceedAgain(error: unknown): boolean {
  return error instanceof CoordinatorError ? error.status >= 500 : true
}

function backoffMs(error: unknown, attempt: number): number {
  const asked = error instanceof CoordinatorError ? error.retryAfterSeconds : undefined
  if (asked !== undefined) return Math.min(asked * 1000, longestRetryAfterMs)
  return 250 * (attempt + 1) + Math.random() * 100
}

function traceHeaders(trace: Trace | undefined): Record<string, string> {
  if (trace?.traceId === undefined || !/^[0-9a-f]{32}$/.test(trace.traceId)) return {}
  return {
    traceparent: `00-${trace.traceId}-${randomBytes(8).toString('hex')}-${trace.traceFlags ?? '01'}`,
    ...(trace.traceState === undefined ? {} : { tracestate: trace.traceState }),
  }
}

function leaseOf(body: Readonly<Record<string, unknown>>): Lease {
  if (!isGeneration(body.lease_generation, 1))
    throw new TypeError('coordinator answered without a lease_generation')
  return {
    status: textMember(body.status),
    deadlineAt: instant(body.heartbeat_deadline_at),
    leaseGeneration: body.lease_generation,
  }
}

function inboundOf(row: unknown): InboundDelegation {
  const body = (typeof row === 'object' && row !== null ? row : {}) as Record<string, unknown>
  return {
    id: required(body.id, 'id'),
    status: required(body.status, 'status'),
    expiresAt: textMember(body.expires_at),
  }
}

function isGeneration(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least
}

function instant(value: unknown): Date | undefined {
  const at = typeof value === 'string' ? new Date(value) : undefined
  return at === undefined || Number.isNaN(at.getTime()) ? undefined : at
}

function required(value: unknown, name: string): string {
  const text = textMember(value)
  if (text === undefined) throw new TypeError(`coordinator answered without ${name}`)
  return text
}
