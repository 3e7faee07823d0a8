/** Notification sinks and their deliveries (control-api §7.17). A sink's cursor is a position in its zone's audit chain. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface Sink {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly url: string
  readonly event_types: readonly string[]
  readonly active: boolean
  readonly consecutive_failures: number
  readonly last_success_at: Date | null
  readonly last_failure_at: Date | null
  readonly last_error: string | null
  readonly created_at: Date
  readonly updated_at: Date
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, url, event_types, active, consecutive_failures, last_success_at, last_failure_at,
  last_error, created_at, updated_at`

export async function listSinks(db: Queryable, zoneId: string, query: PageQuery): Promise<Page<Sink>> {
  const { sql } = db
  const keys = keyset(sql, query, ['sinks', zoneId])
  const rows = await plannedForItsValues(sql<(Sink & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from notification_sinks
    where zone_id = ${zoneId} and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findSink(db: Queryable, zoneId: string, id: string): Promise<Sink | null> {
  const [row] = await db.sql<Sink[]>`
    select ${columns(db)} from notification_sinks where zone_id = ${zoneId} and id = ${id}`
  return row ?? null
}

export async function countSinks(db: Queryable, zoneId: string): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n from notification_sinks where zone_id = ${zoneId}`
  return row?.n ?? 0
}

/** The new sink starts at the head of the zone's chain: it tells of what comes, not of what was. */
export async function insertSink(
  tx: Tx,
  sink: {
    readonly id: string
    readonly zoneId: string
    readonly name: string
    readonly url: string
    readonly eventTypes: readonly string[]
    readonly secret: Buffer
  },
): Promise<Sink> {
  const [row] = await tx.sql<Sink[]>`
    insert into notification_sinks (id, zone_id, name, url, event_types, secret_ct, cursor_chain_seq)
    values (${sink.id}, ${sink.zoneId}, ${sink.name}, ${sink.url}, ${sink.eventTypes as string[]}::text[], ${sink.secret},
            coalesce((select max(chain_seq) from audit_events where zone_id = ${sink.zoneId}), 0))
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

/** A new address starts without the failures of the old one. */
export async function updateSink(
  tx: Tx,
  zoneId: string,
  id: string,
  patch: {
    readonly name?: string | undefined
    readonly url?: string | undefined
    readonly eventTypes?: readonly string[] | undefined
    readonly active?: boolean | undefined
  },
): Promise<Sink | null> {
  const { sql } = tx
  const types = patch.eventTypes === undefined ? null : [...patch.eventTypes]
  const moved = patch.url !== undefined
  const [row] = await sql<Sink[]>`
    update notification_sinks set
      name = coalesce(${patch.name ?? null}, name),
      url = coalesce(${patch.url ?? null}, url),
      event_types = coalesce(${types}::text[], event_types),
      active = coalesce(${patch.active ?? null}::boolean, active),
      consecutive_failures = ${moved ? 0 : sql`consecutive_failures`},
      last_error = ${moved ? null : sql`last_error`},
      updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  return row ?? null
}

export async function replaceSinkSecret(
  tx: Tx,
  zoneId: string,
  id: string,
  secret: Buffer,
): Promise<Sink | null> {
  const [row] = await tx.sql<Sink[]>`
    update notification_sinks set secret_ct = ${secret}, updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  return row ?? null
}

export async function deleteSink(tx: Tx, zoneId: string, id: string): Promise<boolean> {
  const rows =
    await tx.sql`delete from notification_sinks where zone_id = ${zoneId} and id = ${id} returning id`
  return rows.length > 0
}

export interface Delivery {
  readonly id: string
  readonly sink_id: string
  readonly event_id: string
  readonly event_type: string
  readonly attempts: number
  readonly available_at: Date
  readonly delivered_at: Date | null
  readonly abandoned_at: Date | null
  readonly response_status: number | null
  readonly last_error: string | null
  readonly created_at: Date
}

export async function listDeliveries(
  db: Queryable,
  zoneId: string,
  sinkId: string,
  query: PageQuery,
): Promise<Page<Delivery>> {
  const { sql } = db
  const keys = keyset(sql, query, ['deliveries', zoneId, sinkId])
  const rows = await plannedForItsValues(sql<(Delivery & { cursor_ts: string })[]>`
    select id, sink_id, event_id, event_type, attempts, available_at, delivered_at, abandoned_at,
      response_status, last_error, created_at, ${keys.position}
    from notification_deliveries
    where zone_id = ${zoneId} and sink_id = ${sinkId} and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

interface ActiveSink {
  readonly id: string
  readonly zone_id: string
  readonly cursor: string
  readonly event_types: readonly string[]
}

/** Up to `limit` active sinks in the order of their ids: those behind `after`, and then from the first on. */
export async function activeSinks(db: Queryable, after: string, limit: number): Promise<ActiveSink[]> {
  return await db.sql<ActiveSink[]>`
    select id, zone_id, cursor_chain_seq::text as cursor, event_types
    from notification_sinks where active
    order by id <= ${after}, id
    limit ${limit}`
}

/** Links of a chain that are looked through at a time: where hardly one is wanted, the statement stays short. */
const linksAtOnce = 50_000

/**
 * Turns up to `limit` new events that the sink wants into deliveries and moves the cursor, in one transaction.
 * The cursor passes over the rest: when there are fewer, to the head of the chain. Head and links commit together
 * and the numbers of a chain in their order, so one snapshot never shows a head behind which a link is to come.
 * Index (zone_id, chain_seq desc).
 */
export async function fanOut(tx: Tx, sink: ActiveSink, limit: number): Promise<number> {
  const until = tx.sql`${sink.cursor}::bigint + ${linksAtOnce}::int`
  const [row] = await tx.sql<{ seen: number }[]>`
    with event as (
      select id, event_type, decision, occurred_at, metadata_json, chain_seq
      from audit_events
      where zone_id = ${sink.zone_id} and chain_seq > ${sink.cursor}::bigint and chain_seq <= ${until}
        and event_type = any(${sink.event_types as string[]}::text[])
      order by chain_seq
      limit ${limit}
    ), reached as (
      select count(*)::int as seen,
        case
          when count(*) = ${limit} then max(chain_seq)
          else greatest(max(chain_seq), least(${until}, coalesce(
            (select chain_seq from audit_chain_heads where zone_id = ${sink.zone_id}), 0)))
        end as seq
      from event
    ), delivery as (
      insert into notification_deliveries (id, sink_id, zone_id, event_id, event_type, payload_json, created_at)
      select gen_random_uuid()::text, ${sink.id}, ${sink.zone_id}, event.id, event.event_type,
        jsonb_build_object(
          'id', event.id, 'type', event.event_type, 'zone_id', ${sink.zone_id}::text, 'decision', event.decision,
          'occurred_at', to_char(event.occurred_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'data', coalesce(event.metadata_json, '{}'::jsonb)),
        clock_timestamp()
      from event
      order by event.chain_seq
      on conflict (sink_id, event_id) do nothing
    ), moved as (
      update notification_sinks
      set cursor_chain_seq = reached.seq
      from reached
      where id = ${sink.id} and cursor_chain_seq < reached.seq
    )
    select seen from reached`
  return row?.seen ?? 0
}

export interface DueDelivery {
  readonly id: string
  /** When the lease ends, to the microsecond: it tells one lease of a delivery from the next. */
  readonly leased_until: string
  readonly sink_id: string
  readonly zone_id: string
  readonly event_type: string
  readonly attempts: number
  readonly payload_json: Readonly<Record<string, unknown>>
  readonly url: string
  readonly secret_ct: Buffer
}

/** Leases the oldest unfinished delivery of each sink that is due; later ones of the same sink wait for it. */
export async function claimDeliveries(
  db: Queryable,
  limit: number,
  leaseSeconds: number,
): Promise<DueDelivery[]> {
  return await db.sql<DueDelivery[]>`
    with oldest as (
      select distinct on (d.sink_id) d.id, d.available_at
      from notification_deliveries d
      join notification_sinks s on s.id = d.sink_id and s.active
      where d.delivered_at is null and d.abandoned_at is null
      order by d.sink_id, d.created_at, d.id
    ), due as (
      select d.id
      from notification_deliveries d
      join oldest o on o.id = d.id
      where o.available_at <= now()
      order by o.available_at
      limit ${limit}
      for update of d skip locked
    )
    update notification_deliveries d
    set attempts = d.attempts + 1, available_at = now() + make_interval(secs => ${leaseSeconds}::int)
    from due, notification_sinks s
    where d.id = due.id and s.id = d.sink_id
    returning d.id, to_char(d.available_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as leased_until,
      d.sink_id, d.zone_id, d.event_type, d.attempts, d.payload_json, s.url, s.secret_ct`
}

export interface DeliveryResult {
  readonly status: number | null
  /** `null` when it was delivered. */
  readonly error: string | null
  /** Seconds until the next try; `null` = give up. */
  readonly retryInSeconds: number | null
}

/** Gives deliveries back that were leased and not tried. One that another process leased meanwhile stays with that one. */
export async function releaseDeliveries(db: Queryable, leased: readonly DueDelivery[]): Promise<void> {
  if (leased.length === 0) return
  await db.sql`
    update notification_deliveries d
    set attempts = d.attempts - 1, available_at = now()
    from unnest(${leased.map(({ id }) => id)}::text[],
                ${leased.map((one) => one.leased_until)}::timestamptz[]) as lease(id, until)
    where d.id = lease.id and d.available_at = lease.until`
}

/** Records what became of a delivery, on it and on its sink; nothing when another process leased it meanwhile. */
export async function settleDelivery(tx: Tx, delivery: DueDelivery, result: DeliveryResult): Promise<void> {
  const { sql } = tx
  const ok = result.error === null
  const abandoned = !ok && result.retryInSeconds === null
  const settled = await sql`
    update notification_deliveries set
      delivered_at = ${ok ? sql`now()` : null},
      abandoned_at = ${abandoned ? sql`now()` : null},
      available_at = now() + make_interval(secs => ${result.retryInSeconds ?? 0}::float8),
      response_status = ${result.status},
      last_error = ${result.error}
    where id = ${delivery.id} and available_at = ${delivery.leased_until}::timestamptz`
  if (settled.count === 0) return
  await sql`
    update notification_sinks set
      consecutive_failures = ${ok ? 0 : sql`consecutive_failures + 1`},
      last_success_at = ${ok ? sql`now()` : sql`last_success_at`},
      last_failure_at = ${ok ? sql`last_failure_at` : sql`now()`},
      last_error = ${result.error}
    where id = ${delivery.sink_id}`
}

/** Deletes up to `limit` deliveries that were settled more than a week ago. */
export async function deleteSettled(db: Queryable, limit: number): Promise<number> {
  const rows = await db.sql`
    delete from notification_deliveries where id in (
      select id from notification_deliveries
      where (delivered_at is not null or abandoned_at is not null) and created_at < now() - interval '7 days'
      order by created_at
      limit ${limit})
    returning id`
  return rows.length
}
