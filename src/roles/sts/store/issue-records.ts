/**
 * The one write of an exchange: authority records of concurrent exchanges in one
 * statement (group commit); every caller waits for its own commit (sts §4.6).
 *
 * A record that rests on a delegation or on a presented record is inserted only
 * if all of that is still alive. The transaction first takes `delegation:<zone>`
 * in shared mode, in a statement of its own: graph changes and revocations hold
 * the lock exclusively, so the next statement sees everything they committed and
 * nothing can change until this commit. Mints do not block each other. Batches
 * with a lock hold one zone only: a long graph change of one zone delays nobody else.
 *
 * begin, lock, insert and commit leave in one packet on one reserved connection:
 * one round trip. Locks: `delegation:<zone>` shared, then rows of authority_records.
 */
import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Database, Queryable } from '../../../platform/db/port.ts'
import { sqlState } from '../../../platform/db/unavailable.ts'

export interface NewRecord {
  readonly id: string
  readonly zoneId: string
  readonly sessionType: 'user' | 'application'
  readonly subjectId: string
  readonly parentId: string | null
  /** Milliseconds since the epoch (database clock). */
  readonly authenticatedAt: number
  readonly expiresAt: number
  readonly claims: Readonly<Record<string, unknown>> | null
}

/** What must still be alive when the record is inserted. */
export interface LiveBasis {
  /** Authority records that must be active and unexpired. */
  readonly records: readonly string[]
  readonly edges: readonly {
    readonly id: string
    readonly parent: string | null
    readonly version: number
    readonly source: string
    readonly target: string
  }[]
  readonly sessions: readonly string[]
}

/** `refused`: the row broke a constraint of the schema. */
export type Issued = 'inserted' | 'basis_dead' | 'refused'

/** Inserts one record; `basis: null` needs no lock. Rejects with the driver's error. */
export type IssueRecord = (record: NewRecord, basis: LiveBasis | null) => Promise<Issued>

interface Item {
  readonly record: NewRecord
  readonly basis: LiveBasis | null
}

const maxItems = 128

export function createRecordIssuer(db: Database): IssueRecord {
  const free = createCoalescer<Item, Issued>({
    maxItems,
    flush: (items) => oneBadItemAside(items, (some) => insertRecords(db, some)),
  })
  const lanes = new Map<string, { waiting: number; add: (item: Item) => Promise<Issued> }>()

  /** One lane per zone, for as long as somebody waits in it. */
  async function issueGuarded(item: Item): Promise<Issued> {
    const zoneId = item.record.zoneId
    let lane = lanes.get(zoneId)
    if (lane === undefined) {
      const batches = createCoalescer<Item, Issued>({
        maxItems,
        flush: (items) => oneBadItemAside(items, (some) => insertUnderLock(db, zoneId, some)),
      })
      lane = { waiting: 0, add: (one) => batches.add(one) }
      lanes.set(zoneId, lane)
    }
    lane.waiting += 1
    try {
      return await lane.add(item)
    } finally {
      lane.waiting -= 1
      if (lane.waiting === 0) lanes.delete(zoneId)
    }
  }

  return (record, basis) => (basis === null ? free.add({ record, basis }) : issueGuarded({ record, basis }))
}

/** An integrity violation (SQLSTATE class 23) is the fault of one item: the others are tried without it. */
async function oneBadItemAside(
  items: readonly Item[],
  insert: (items: readonly Item[]) => Promise<Issued[]>,
): Promise<Issued[]> {
  try {
    return await insert(items)
  } catch (error) {
    if (items.length === 1 || sqlState(error)?.startsWith('23') !== true) throw error
    const outcomes: Issued[] = []
    for (const item of items) {
      outcomes.push(
        await insert([item]).then(
          ([only]) => only as Issued,
          () => 'refused' as const,
        ),
      )
    }
    return outcomes
  }
}

/**
 * The four statements are sent in this order and in one go; the driver would otherwise
 * send each when somebody first waits for it, which is not the order they stand in.
 */
async function insertUnderLock(db: Database, zoneId: string, items: readonly Item[]): Promise<Issued[]> {
  const connection = await db.sql.reserve()
  try {
    const insert = insertStatement({ sql: connection }, items)
    const statements = [
      connection`begin`,
      lockStatement({ sql: connection }, zoneId),
      insert,
      connection`commit`,
    ]
    for (const statement of statements) statement.execute()
    for (const outcome of await Promise.allSettled(statements)) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
    return outcomes(items, await insert)
  } finally {
    connection.release()
  }
}

/** Held until the transaction ends; graph changes and revocations wait for it. */
export async function lockDelegationShared(db: Pick<Queryable, 'sql'>, zoneId: string): Promise<void> {
  await lockStatement(db, zoneId)
}

function lockStatement(db: Pick<Queryable, 'sql'>, zoneId: string) {
  return db.sql`select pg_advisory_xact_lock_shared(hashtext(${`delegation:${zoneId}`}))`
}

/** Inserts what rests on nothing dead; the caller holds the lock. */
export async function insertRecords(db: Pick<Queryable, 'sql'>, items: readonly Item[]): Promise<Issued[]> {
  return outcomes(items, await insertStatement(db, items))
}

function outcomes(items: readonly Item[], inserted: readonly { readonly id: string }[]): Issued[] {
  const alive = new Set(inserted.map((row) => row.id))
  return items.map(({ record }) => (alive.has(record.id) ? 'inserted' : 'basis_dead'))
}

/**
 * `statement_timestamp()` is taken after the
 * lock was granted, `now()` would be the time before waiting for it.
 */
function insertStatement(db: Pick<Queryable, 'sql'>, items: readonly Item[]) {
  const rows = JSON.stringify(
    items.map(({ record, basis }, n) => ({
      n,
      id: record.id,
      zone: record.zoneId,
      type: record.sessionType,
      subject: record.subjectId,
      parent: record.parentId,
      at: record.authenticatedAt / 1000,
      until: record.expiresAt / 1000,
      claims: record.claims,
      records: basis?.records ?? [],
      edges: basis?.edges ?? [],
      sessions: basis?.sessions ?? [],
    })),
  )
  return db.sql<{ id: string }[]>`
    with item as materialized (
      select n, id, zone, type, subject, parent, at, until, claims, records, edges, sessions
      from json_to_recordset(${rows}::text::json)
        as r(n int, id text, zone text, type text, subject text, parent text, at float8, until float8,
             claims jsonb, records json, edges json, sessions json)
    ),
    dead as (
      select i.n
      from item i
      cross join lateral json_array_elements_text(i.records) as named(id)
      where not exists (
        select 1
        from authority_records a
        where a.id = named.id
          and a.zone_id = i.zone
          and a.status = 'active'
          and a.expires_at > statement_timestamp())
      union
      select i.n
      from item i
      cross join lateral json_to_recordset(i.edges)
        as named(id text, parent text, version int, source text, target text)
      where not exists (
        select 1
        from delegation_edges e
        where e.id = named.id
          and e.zone_id = i.zone
          and e.status = 'active'
          and e.revoked_at is null
          and e.expires_at > statement_timestamp()
          and e.edge_version = named.version
          and e.parent_edge_id is not distinct from named.parent
          and e.source_agent_id = named.source
          and e.target_agent_id = named.target)
      union
      select i.n
      from item i
      cross join lateral json_array_elements_text(i.sessions) as named(id)
      where not exists (
        select 1
        from agent_sessions s
        left join authority_records a on a.id = s.session_sid and a.zone_id = s.zone_id
        where s.id = named.id
          and s.zone_id = i.zone
          and s.status = 'active'
          and case s.lifecycle
                when 'service' then s.heartbeat_deadline_at > statement_timestamp()
                else s.ttl_seconds > 0
                  and s.spawned_at + make_interval(secs => s.ttl_seconds) > statement_timestamp()
              end
          and case a.session_type
                when 'user' then a.status = 'active' and a.expires_at > statement_timestamp()
                when 'application' then a.status <> 'revoked'
                else false
              end)
    )
    insert into authority_records
      (id, zone_id, session_type, subject_id, parent_id, status, expires_at, authenticated_at,
       claims_json, created_at)
    select i.id, i.zone, i.type, i.subject, i.parent, 'active', to_timestamp(i.until), to_timestamp(i.at),
           i.claims, to_timestamp(i.at)
    from item i
    where not exists (select 1 from dead d where d.n = i.n)
    returning id`
}
