/** Reads of the outbox that management answers need: one activation's row, and the counts of readiness and metrics. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface OutboxRow {
  readonly id: string
  readonly topic: string
  readonly payload_json: Readonly<Record<string, unknown>>
  readonly status: 'pending' | 'published' | 'dead'
  readonly attempts: number
  readonly last_error: string | null
  readonly published_at: Date | null
}

export async function findOutboxRow(db: Queryable, id: string): Promise<OutboxRow | null> {
  const [row] = await db.sql<OutboxRow[]>`
    select id, topic, payload_json, status, attempts, last_error, published_at
    from caracal_outbox where producer = 'control' and id = ${id}`
  return row ?? null
}

/** The newest invalidation of one policy set version. */
export async function findActivationRow(
  db: Queryable,
  zoneId: string,
  versionId: string,
): Promise<OutboxRow | null> {
  const [row] = await db.sql<OutboxRow[]>`
    select id, topic, payload_json, status, attempts, last_error, published_at
    from caracal_outbox
    where producer = 'control'
      and topic = 'caracal.policy.invalidate'
      and payload_json->>'zone_id' = ${zoneId}
      and payload_json->>'policy_set_version_id' = ${versionId}
    order by created_at desc, id desc
    limit 1`
  return row ?? null
}

export interface OutboxBacklog {
  readonly pending: number
  readonly dead: number
  readonly oldestPendingSeconds: number
  readonly oldestDeadSeconds: number
}

export async function outboxBacklog(
  db: Queryable,
  producer: 'control' | 'coordinator' = 'control',
): Promise<OutboxBacklog> {
  const [row] = await db.sql<OutboxBacklog[]>`
    select
      count(*) filter (where status = 'pending')::int as pending,
      count(*) filter (where status = 'dead')::int as dead,
      coalesce(extract(epoch from now() - min(created_at) filter (where status = 'pending')), 0)::float8
        as "oldestPendingSeconds",
      coalesce(extract(epoch from now() - min(created_at) filter (where status = 'dead')), 0)::float8
        as "oldestDeadSeconds"
    from caracal_outbox
    where producer = ${producer} and status in ('pending', 'dead')`
  return row ?? { pending: 0, dead: 0, oldestPendingSeconds: 0, oldestDeadSeconds: 0 }
}
