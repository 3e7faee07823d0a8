/**
 * Monthly partitions of the ledger. The role holds no right to change evidence: months are made,
 * closed and dropped through functions of the owner (storage-and-operations §5–§6).
 */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

const defaultPartition = 'audit_events_default'

/** Makes sure this month and the next `ahead` have their partitions; answers how many were made. */
export async function ensureMonths({ sql }: Queryable, ahead: number): Promise<number> {
  const rows = await sql<{ made: boolean }[]>`
    select audit_partition_ensure((now() at time zone 'UTC' + make_interval(months => month))::date) as made
    from generate_series(0, ${ahead}::int) as month`
  return rows.filter((row) => row.made).length
}

export interface ExpiredMonth {
  readonly name: string
  /** Bounds of `occurred_at`, ISO 8601. */
  readonly from: string
  readonly to: string
}

/** Months that ended `days` or more ago, oldest first. */
export async function expiredMonths({ sql }: Queryable, days: number): Promise<ExpiredMonth[]> {
  const rows = await sql<ExpiredMonth[]>`
    with months as (
      select c.relname as name,
             make_timestamptz(substring(c.relname from 'y(\\d{4})')::int,
                              substring(c.relname from 'm(\\d{2})$')::int, 1, 0, 0, 0, 'UTC') as starts
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'audit_events'::regclass
        and c.relname ~ '^audit_events_y[0-9]{4}m[0-9]{2}$'
    )
    select name,
           to_char(starts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "from",
           to_char(starts at time zone 'UTC' + interval '1 month', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "to"
    from months
    where (starts at time zone 'UTC' + interval '1 month') at time zone 'UTC' <= now() - make_interval(days => ${days}::int)
    order by starts`
  return [...rows]
}

/** No further row enters the partition until the transaction ends. */
export async function closePartition(tx: Tx, name: string): Promise<void> {
  await tx.sql`select audit_partition_close(${name})`
}

export async function dropMonth(tx: Tx, name: string): Promise<void> {
  await tx.sql`select audit_partition_drop(${name})`
}

/** Deletes what the default partition holds from before `before`; answers the number of rows. */
export async function expireDefault(tx: Tx, before: string): Promise<number> {
  const [row] = await tx.sql<{ removed: number }[]>`
    select audit_partition_expire_default(${before}::timestamptz)::float8 as removed`
  return row?.removed ?? 0
}

/** The instant `days` ago by the clock of the database, with microseconds. */
export async function instantDaysAgo({ sql }: Queryable, days: number): Promise<string> {
  const [row] = await sql<{ at: string }[]>`
    select to_char((now() - make_interval(days => ${days}::int)) at time zone 'UTC',
                   'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`
  if (row === undefined) throw new Error('the database did not tell the time')
  return row.at
}

/** What lies in one partition: rows that occurred from `from` on and before `to`. */
export interface Slice {
  readonly partition: string
  readonly from: string
  readonly to: string
}

export interface Edge {
  readonly zoneId: string
  readonly chainSeq: number
  readonly prevSha256: string | null
  readonly contentSha256: string
  readonly first: boolean
  readonly last: boolean
}

const beginning = '0001-01-01T00:00:00Z'

export function sliceOf(month: ExpiredMonth): Slice {
  return { partition: month.name, from: month.from, to: month.to }
}

export function defaultSlice(before: string): Slice {
  return { partition: defaultPartition, from: beginning, to: before }
}

/** First and last link of every unbroken run of numbers in the slice, by zone and number. Sorts the slice. */
export async function runEdges(tx: Tx, slice: Slice): Promise<Edge[]> {
  const rows = await tx.sql<Edge[]>`
    select "zoneId", "chainSeq", "prevSha256", "contentSha256", first, last
    from (
      select zone_id as "zoneId", chain_seq::float8 as "chainSeq", prev_content_sha256 as "prevSha256",
             coalesce(content_sha256, '') as "contentSha256",
             chain_seq is distinct from lag(chain_seq) over run + 1 as first,
             chain_seq is distinct from lead(chain_seq) over run - 1 as last
      from audit_events
      where occurred_at >= ${slice.from}::timestamptz
        and occurred_at < ${slice.to}::timestamptz
        and tableoid = ${slice.partition}::regclass
        and chain_seq is not null
      window run as (partition by zone_id order by chain_seq)
    ) as links
    where first or last
    order by "zoneId", "chainSeq"`
  return [...rows]
}

/** True when the slice holds a row ingested at or after `exportedUntil`. */
export async function hasUnexported(tx: Tx, slice: Slice, exportedUntil: string): Promise<boolean> {
  const rows = await tx.sql`
    select 1
    from audit_events
    where occurred_at >= ${slice.from}::timestamptz
      and occurred_at < ${slice.to}::timestamptz
      and tableoid = ${slice.partition}::regclass
      and ingested_at >= ${exportedUntil}::timestamptz
    limit 1`
  return rows.length > 0
}

/** The retention the operator set, if any. */
export async function retentionDays({ sql }: Queryable): Promise<number | null> {
  const [row] = await sql<{ days: number }[]>`select retention_days as days from audit_retention`
  return row?.days ?? null
}
