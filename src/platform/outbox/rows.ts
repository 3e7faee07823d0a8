/**
 * The SQL of `caracal_outbox`. Indexes: partial `(created_at, id) where status =
 * 'pending'` for the claim, `(status, available_at)` for counts and retention,
 * unique `(producer, topic, dedupe_key)` for the insert.
 */
import type { PendingQuery, Row } from 'postgres'
import type { OutgoingEntry } from '../bus/port.ts'
import type { Queryable, Tx } from '../db/port.ts'
import { uuidv7 } from '../ids.ts'
import type { EntryMaker } from './entry.ts'
import { storedPayload } from './flatten.ts'
import type { OutboxEvent, Producer } from './port.ts'

export interface OutboxRow {
  readonly id: string
  readonly topic: string
  readonly dedupeKey: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly attempts: number
}

const rowsOf = (events: readonly OutboxEvent[]) =>
  events.map((event) => {
    const id = uuidv7()
    const payload = storedPayload(event.payload)
    return {
      id,
      topic: event.topic,
      dedupeKey: event.dedupeKey ?? id,
      payload,
      requestId: event.requestId ?? null,
    }
  })

/** Answers the ids; the rows go out with what the transaction sends next. */
export function insertRows(tx: Tx, producer: Producer, events: readonly OutboxEvent[]): string[] {
  const rows = rowsOf(events)
  tx.send(tx.sql`
    insert into caracal_outbox (id, producer, topic, dedupe_key, payload_json, request_id)
    select e.id, ${producer}, e.topic, e.dedupe_key, e.payload::jsonb, e.request_id
    from unnest(${rows.map(({ id }) => id)}::text[],
                ${rows.map(({ topic }) => topic)}::text[],
                ${rows.map(({ dedupeKey }) => dedupeKey)}::text[],
                ${rows.map(({ payload }) => JSON.stringify(payload))}::text[],
                ${rows.map(({ requestId }) => requestId)}::text[])
         with ordinality as e(id, topic, dedupe_key, payload, request_id, n)
    order by e.n
    on conflict (producer, topic, dedupe_key) do nothing`)
  return rows.map(({ id }) => id)
}

/**
 * As `insertRows`, for a transaction opened with `publishes`: each row is published already, by the entry that
 * is inserted with it. A row whose dedupe key exists brings no entry.
 */
export function insertPublished(
  tx: Tx,
  producer: Producer,
  events: readonly OutboxEvent[],
  toEntry: EntryMaker,
): { readonly ids: string[]; readonly entries: OutgoingEntry[] } {
  const rows = rowsOf(events)
  const entries = rows.map(toEntry)
  const given = rows.map(({ id, topic, dedupeKey, payload, requestId }, n) => ({
    id,
    topic,
    dedupe_key: dedupeKey,
    payload,
    request_id: requestId,
    fields: entries[n]?.fields,
    n,
  }))
  // One JSON text: array parameters would escape every quote of every entry a second time.
  tx.send(tx.sql`
    with given as materialized (
      select e.*
      from json_to_recordset(${JSON.stringify(given)}::text::json)
        as e(id text, topic text, dedupe_key text, payload jsonb, request_id text, fields jsonb, n int)
    ), kept as (
      insert into caracal_outbox
        (id, producer, topic, dedupe_key, payload_json, request_id, status, attempts, published_at)
      select id, ${producer}, topic, dedupe_key, payload, request_id, 'published', 1, now()
      from given
      order by n
      on conflict (producer, topic, dedupe_key) do nothing
      returning id
    )
    insert into bus_event (stream, payload)
    select given.topic, given.fields
    from given
    where given.id in (select kept.id from kept)
    order by given.n`)
  return { ids: rows.map(({ id }) => id), entries }
}

/** One cheap look at the partial index, so that an idle dispatcher writes nothing and asks the bus nothing. */
export async function anyDue(db: Pick<Queryable, 'sql'>): Promise<boolean> {
  const rows = await db.sql`
    select 1 from caracal_outbox
    where status = 'pending'
      and available_at <= now()
      and (locked_until is null or locked_until < now())
    limit 1`
  return rows.length > 0
}

/** Leases up to `limit` due rows for `worker`, oldest first. Rows another worker holds are skipped. */
export async function claimRows(
  db: Pick<Queryable, 'sql'>,
  worker: string,
  limit: number,
  leaseSeconds: number,
): Promise<OutboxRow[]> {
  const rows = await db.sql<
    {
      id: string
      topic: string
      dedupe_key: string
      payload_json: Record<string, unknown>
      attempts: number
    }[]
  >`
    with due as (
      select id
      from caracal_outbox
      where status = 'pending'
        and available_at <= now()
        and (locked_until is null or locked_until < now())
      order by created_at, id
      limit ${limit}
      for update skip locked
    ), claimed as (
      update caracal_outbox o
      set locked_until = now() + ${leaseSeconds} * interval '1 second',
          locked_by = ${worker},
          updated_at = now()
      from due
      where o.id = due.id
      returning o.id, o.topic, o.dedupe_key, o.payload_json, o.attempts, o.created_at
    )
    select id, topic, dedupe_key, payload_json, attempts
    from claimed
    order by created_at, id`
  return rows.map((row) => ({
    id: row.id,
    topic: row.topic,
    dedupeKey: row.dedupe_key,
    payload: row.payload_json,
    attempts: row.attempts,
  }))
}

/** A row whose lease went to another worker meanwhile is left to that one. */
export async function markPublished(
  db: Pick<Queryable, 'sql'>,
  worker: string,
  ids: readonly string[],
): Promise<void> {
  await db.sql`
    update caracal_outbox
    set status = 'published', attempts = attempts + 1, published_at = now(),
        locked_until = null, locked_by = null, last_error = null, updated_at = now()
    where id = any(${[...ids]}::text[]) and locked_by = ${worker} and status = 'pending'`
}

/** Gives rows back untouched: no attempt is counted. */
export async function releaseRows(
  db: Pick<Queryable, 'sql'>,
  worker: string,
  ids: readonly string[],
): Promise<void> {
  await db.sql`
    update caracal_outbox
    set locked_until = null, locked_by = null, updated_at = now()
    where id = any(${[...ids]}::text[]) and locked_by = ${worker} and status = 'pending'`
}

/**
 * Counts an attempt for each failed row: back-off of min(60, 2^attempts) seconds plus up to 30 %
 * jitter, or `dead` at `maxAttempts`. Answers the ids that died.
 */
export async function markFailed(
  db: Pick<Queryable, 'sql'>,
  worker: string,
  failures: readonly { readonly id: string; readonly error: string }[],
  maxAttempts: number,
): Promise<string[]> {
  const rows = await db.sql<{ id: string; status: string }[]>`
    update caracal_outbox o
    set attempts = o.attempts + 1,
        last_error = f.error,
        locked_until = null,
        locked_by = null,
        updated_at = now(),
        status = case when o.attempts + 1 >= ${maxAttempts} then 'dead' else 'pending' end,
        available_at = now() + least(60, power(2, least(o.attempts + 1, 16)))
                             * (1 + random() * 0.3) * interval '1 second'
    from unnest(${failures.map((failure) => failure.id)}::text[],
                ${failures.map((failure) => failure.error.slice(0, 1000))}::text[]) as f(id, error)
    where o.id = f.id and o.locked_by = ${worker} and o.status = 'pending'
    returning o.id, o.status`
  return rows.filter((row) => row.status === 'dead').map((row) => row.id)
}

/**
 * Deletes up to `limit` published rows that did not change for `days`; pending and dead rows are never deleted.
 * A row is due before it is published, so what is looked for lies at the beginning of `(status, available_at)`.
 */
export async function deletePublished(
  db: Pick<Queryable, 'sql'>,
  days: number,
  limit: number,
): Promise<number> {
  const deleted = await db.sql`
    delete from caracal_outbox
    where id = any(array(
      select id from caracal_outbox
      where status = 'published'
        and available_at < now() - ${days} * interval '1 day'
        and updated_at < now() - ${days} * interval '1 day'
      order by available_at
      limit ${limit}
      for update skip locked))`
  return deleted.count
}

export interface OutboxCounts {
  readonly pending: number
  readonly published: number
  readonly dead: number
}

/** In the planner's units, a page read in sequence being one: so much may go into counting what was published. */
const affordable = 1_000

/**
 * Rows by status, of one producer or of all. What is pending or dead is counted, by the index on status. What was
 * published is counted as long as that is cheap, and then told as the planner estimates it: nobody waits for it,
 * and a week of it is too much to read for a gauge.
 */
export async function countRows(db: Pick<Queryable, 'sql'>, producer?: Producer): Promise<OutboxCounts> {
  const ofProducer = db.sql`(${producer ?? null}::text is null or producer = ${producer ?? null}::text)`
  const rows = await db.sql<{ status: 'pending' | 'dead'; n: number }[]>`
    select status, count(*)::int as n
    from caracal_outbox
    where status in ('pending', 'dead') and ${ofProducer}
    group by status`
  const counted = Object.fromEntries(rows.map(({ status, n }) => [status, n]))
  const published = db.sql`from caracal_outbox where status = 'published' and ${ofProducer}`
  return { pending: 0, dead: 0, ...counted, published: await countOrEstimate(db, published) }
}

interface Plan {
  readonly 'Total Cost': number
  readonly 'Plan Rows': number
}

async function countOrEstimate({ sql }: Pick<Queryable, 'sql'>, rows: PendingQuery<Row[]>): Promise<number> {
  const [explained] = await sql<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }[]>`
    explain (format json) select 1 ${rows}`
  const plan = explained?.['QUERY PLAN'][0]?.Plan
  if (plan !== undefined && plan['Total Cost'] > affordable) return plan['Plan Rows']
  const [row] = await sql<{ n: number }[]>`select count(*)::int as n ${rows}`
  return row?.n ?? 0
}

/** Dead rows of one producer, or of all: what readiness asks. */
export async function countDead(db: Pick<Queryable, 'sql'>, producer?: Producer): Promise<number> {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n
    from caracal_outbox
    where status = 'dead'
      and (${producer ?? null}::text is null or producer = ${producer ?? null}::text)`
  return row?.n ?? 0
}

export interface OutboxState {
  readonly topic: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly status: 'pending' | 'published' | 'dead'
  readonly attempts: number
  readonly lastError: string | null
  readonly publishedAt: Date | null
}

/** Where one event stands (audit-and-events §10.4); `null` when there is no such row. */
export async function readRow(db: Pick<Queryable, 'sql'>, id: string): Promise<OutboxState | null> {
  const [row] = await db.sql<
    {
      topic: string
      payload_json: Record<string, unknown>
      status: OutboxState['status']
      attempts: number
      last_error: string | null
      published_at: Date | null
    }[]
  >`
    select topic, payload_json, status, attempts, last_error, published_at
    from caracal_outbox
    where id = ${id}`
  if (row === undefined) return null
  return {
    topic: row.topic,
    payload: row.payload_json,
    status: row.status,
    attempts: row.attempts,
    lastError: row.last_error,
    publishedAt: row.published_at,
  }
}
