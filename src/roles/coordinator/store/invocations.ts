/**
 * `agent_invocations`. States: pending → running → succeeded | failed | timed_out, running →
 * cancel_requested → canceled, pending → canceled, failed and timed_out → running while attempts
 * are left, failed → dead when they are not (coordinator §7.3). Every transition is one conditional
 * update of a row that is locked.
 */
import type postgres from 'postgres'
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { type PageRequest, readPage } from './page.ts'
import { holdsSlot } from './sessions.ts'

export type InvocationStatus =
  | 'pending'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'cancel_requested'
  | 'canceled'
  | 'timed_out'
  | 'dead'

export interface InvocationRow {
  readonly id: string
  readonly zone_id: string
  readonly service_id: string
  readonly source_session_id: string | null
  readonly target_session_id: string | null
  readonly idempotency_key: string
  readonly method: string
  readonly params_json: unknown
  readonly metadata_json: Record<string, unknown>
  readonly request_digest: Buffer
  readonly status: InvocationStatus
  readonly attempts: number
  readonly max_attempts: number
  readonly timeout_ms: number
  readonly retry_policy_json: Record<string, unknown>
  readonly error_json: Record<string, unknown> | null
  readonly deadline_at: Date | null
  readonly cancel_requested_at: Date | null
  readonly started_at: Date | null
  readonly completed_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
}

/** Applications on both ends: who may see and change the invocation. */
export interface InvocationOwners {
  readonly service_application_id: string
  readonly source_application_id: string | null
}

const columns = (sql: postgres.ISql) => sql`
  id, zone_id, service_id, source_session_id, target_session_id, idempotency_key, method, params_json,
  metadata_json, request_digest, status, attempts, max_attempts, timeout_ms, retry_policy_json, error_json,
  deadline_at, cancel_requested_at, started_at, completed_at, created_at, updated_at`

const owners = (sql: postgres.ISql) => sql`
  (
    select service.application_id
    from agent_services as service
    where service.zone_id = agent_invocations.zone_id
      and service.id = agent_invocations.service_id
  ) as service_application_id,
  (
    select source.application_id
    from agent_sessions as source
    where source.zone_id = agent_invocations.zone_id
      and source.id = agent_invocations.source_session_id
  ) as source_application_id`

export interface EnqueueFacts extends InvocationOwners {
  /** Live sessions among those named. */
  readonly live_sessions: string[]
  /** The invocation this key made before. */
  readonly known: string | null
}

/** What an enqueue is decided on, in one statement; null for an unknown service. */
export async function readEnqueueFacts(
  db: Queryable,
  zoneId: string,
  request: {
    readonly serviceId: string
    readonly sourceSessionId: string | null
    readonly sessionIds: readonly string[]
    readonly idempotencyKey: string
  },
): Promise<EnqueueFacts | null> {
  const [row] = await db.sql<EnqueueFacts[]>`
    select
      service.application_id as service_application_id,
      (
        select application_id
        from agent_sessions
        where zone_id = ${zoneId}
          and id = ${request.sourceSessionId}
      ) as source_application_id,
      array(
        select id
        from agent_sessions
        where zone_id = ${zoneId}
          and id = any(${request.sessionIds as string[]}::text[])
          and status = 'active'
          and ${holdsSlot(db.sql)}
      ) as live_sessions,
      (
        select id
        from agent_invocations
        where zone_id = ${zoneId}
          and service_id = service.id
          and idempotency_key = ${request.idempotencyKey}
      ) as known
    from agent_services as service
    where service.zone_id = ${zoneId}
      and service.id = ${request.serviceId}`
  return row ?? null
}

export interface NewInvocation {
  readonly id: string
  readonly zoneId: string
  readonly serviceId: string
  readonly sourceSessionId: string | null
  readonly targetSessionId: string | null
  readonly idempotencyKey: string
  readonly requestDigest: Buffer
  readonly method: string
  readonly params: unknown
  readonly metadata: Readonly<Record<string, unknown>>
  readonly timeoutMs: number
  readonly retryPolicy: { readonly max_attempts: number; readonly backoff_ms: number }
}

/** Null when the service has an invocation under this key already. */
export async function insertInvocation(tx: Tx, invocation: NewInvocation): Promise<InvocationRow | null> {
  const [row] = await tx.sql<InvocationRow[]>`
    insert into agent_invocations (
      id, zone_id, service_id, source_session_id, target_session_id, idempotency_key, request_digest, method,
      params_json, metadata_json, max_attempts, timeout_ms, retry_policy_json
    )
    values (
      ${invocation.id}, ${invocation.zoneId}, ${invocation.serviceId}, ${invocation.sourceSessionId},
      ${invocation.targetSessionId}, ${invocation.idempotencyKey}, ${invocation.requestDigest},
      ${invocation.method}, ${JSON.stringify(invocation.params)}::text::jsonb,
      ${JSON.stringify(invocation.metadata)}::text::jsonb, ${invocation.retryPolicy.max_attempts},
      ${invocation.timeoutMs}, ${JSON.stringify(invocation.retryPolicy)}::text::jsonb
    )
    on conflict (zone_id, service_id, idempotency_key) do nothing
    returning ${columns(tx.sql)}`
  return row ?? null
}

export async function findByKey(
  db: Queryable,
  zoneId: string,
  serviceId: string,
  idempotencyKey: string,
): Promise<InvocationRow | null> {
  const [row] = await db.sql<InvocationRow[]>`
    select ${columns(db.sql)}
    from agent_invocations
    where zone_id = ${zoneId}
      and service_id = ${serviceId}
      and idempotency_key = ${idempotencyKey}`
  return row ?? null
}

export async function findInvocation(
  db: Queryable,
  zoneId: string,
  id: string,
): Promise<(InvocationRow & InvocationOwners) | null> {
  const [row] = await db.sql<(InvocationRow & InvocationOwners)[]>`
    select ${columns(db.sql)}, ${owners(db.sql)}
    from agent_invocations
    where zone_id = ${zoneId}
      and id = ${id}`
  return row ?? null
}

/** Its state and its owners, locked until the transaction ends. */
export async function lockInvocation(
  tx: Tx,
  zoneId: string,
  id: string,
): Promise<(Pick<InvocationRow, 'status' | 'attempts' | 'max_attempts'> & InvocationOwners) | null> {
  const [row] = await tx.sql<
    (Pick<InvocationRow, 'status' | 'attempts' | 'max_attempts'> & InvocationOwners)[]
  >`
    select status, attempts, max_attempts, ${owners(tx.sql)}
    from agent_invocations
    where zone_id = ${zoneId}
      and id = ${id}
    for update`
  return row ?? null
}

/** One more attempt, with a deadline of its own. */
export async function startAttempt(tx: Tx, zoneId: string, id: string): Promise<InvocationRow> {
  return one(
    await tx.sql<InvocationRow[]>`
      update agent_invocations
      set status = 'running',
          attempts = attempts + 1,
          started_at = statement_timestamp(),
          deadline_at = statement_timestamp() + timeout_ms * interval '1 millisecond',
          completed_at = null,
          error_json = null,
          updated_at = statement_timestamp()
      where zone_id = ${zoneId}
        and id = ${id}
      returning ${columns(tx.sql)}`,
  )
}

/** `canceled` is the end of it, `cancel_requested` asks the worker to stop. */
export async function cancelInvocation(
  tx: Tx,
  zoneId: string,
  id: string,
  status: 'canceled' | 'cancel_requested',
  reason: string | null,
): Promise<InvocationRow> {
  return one(
    await tx.sql<InvocationRow[]>`
      update agent_invocations
      set status = ${status},
          cancel_requested_at = coalesce(cancel_requested_at, statement_timestamp()),
          completed_at = case when ${status} = 'canceled' then statement_timestamp() end,
          metadata_json = metadata_json || case
            when ${reason}::text is null then '{}'::jsonb
            else jsonb_build_object('cancel_reason', ${reason}::text)
          end,
          updated_at = statement_timestamp()
      where zone_id = ${zoneId}
        and id = ${id}
      returning ${columns(tx.sql)}`,
  )
}

export async function completeInvocation(
  tx: Tx,
  zoneId: string,
  id: string,
  outcome: {
    readonly status: 'succeeded' | 'failed' | 'dead' | 'canceled'
    readonly error: Readonly<Record<string, unknown>> | null
    readonly metadata: Readonly<Record<string, unknown>>
  },
): Promise<InvocationRow> {
  return one(
    await tx.sql<InvocationRow[]>`
      update agent_invocations
      set status = ${outcome.status},
          completed_at = statement_timestamp(),
          error_json = ${outcome.error === null ? null : JSON.stringify(outcome.error)}::text::jsonb,
          metadata_json = metadata_json || ${JSON.stringify(outcome.metadata)}::text::jsonb,
          updated_at = statement_timestamp()
      where zone_id = ${zoneId}
        and id = ${id}
      returning ${columns(tx.sql)}`,
  )
}

export interface OverdueInvocation {
  readonly id: string
  readonly zone_id: string
  readonly service_id: string
  readonly attempts: number
  readonly status: 'timed_out' | 'canceled'
}

/** Ends what is past its deadline: running → timed_out, cancel_requested → canceled. Rows in use elsewhere are skipped. */
export async function endOverdue(tx: Tx, limit: number): Promise<OverdueInvocation[]> {
  const rows = await tx.sql<OverdueInvocation[]>`
    with overdue as (
      select id
      from agent_invocations
      where status in ('running', 'cancel_requested')
        and deadline_at < now()
      order by deadline_at
      limit ${limit}
      for update skip locked
    )
    update agent_invocations as invocation
    set status = case status when 'running' then 'timed_out' else 'canceled' end,
        completed_at = now(),
        error_json = case status
          when 'running' then coalesce(error_json, '{}') || '{"reason": "deadline_exceeded"}'
          else error_json
        end,
        updated_at = now()
    from overdue
    where invocation.id = overdue.id
    returning invocation.id, invocation.zone_id, invocation.service_id, invocation.attempts, invocation.status`
  return [...rows]
}

export interface InvocationFilter {
  readonly status?: InvocationStatus | undefined
  readonly serviceId?: string | undefined
  /** At either end. */
  readonly sessionId?: string | undefined
}

/** Invocations of the zone, newest first; null for an unknown cursor. */
export function listInvocations(
  db: Queryable,
  zoneId: string,
  filter: InvocationFilter,
  page: PageRequest,
): Promise<InvocationRow[] | null> {
  const { sql } = db
  const { sessionId } = filter
  return readPage(
    db,
    {
      table: 'agent_invocations',
      columns: columns(sql),
      visible: sql`zone_id = ${zoneId}`,
      wanted: sql`true
        ${filter.status === undefined ? sql`` : sql`and status = ${filter.status}`}
        ${filter.serviceId === undefined ? sql`` : sql`and service_id = ${filter.serviceId}`}
        ${sessionId === undefined ? sql`` : sql`and (source_session_id = ${sessionId} or target_session_id = ${sessionId})`}`,
    },
    page,
  )
}

function one(rows: readonly InvocationRow[]): InvocationRow {
  const [row] = rows
  if (row === undefined) throw new Error('a locked invocation is gone')
  return row
}
