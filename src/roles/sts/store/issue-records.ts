/**
 * The one write of an exchange: authority records of concurrent exchanges in one
 * statement (group commit); every caller waits for its own commit (sts §4.6).
 *
 * A record that rests on a delegation or on a presented record is inserted only
 * if all of that is still alive. The transaction first takes `delegation:<zone>`
 * in shared mode, in a statement before: graph changes and revocations hold
 * the lock exclusively, so the next statement sees everything they committed and
 * nothing can change until this commit. Mints do not block each other. A batch
 * takes the locks of its zones only where it need not wait; what is left waits in
 * a lane of its zone: a long graph change of one zone delays nobody else.
 *
 * Lock and insert are two statements of one function, `sts_issue`: one round trip.
 * Locks: `delegation:<zone>` shared, then rows of authority_records.
 */

import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Database, Queryable } from '../../../platform/db/port.ts'
import { sqlState } from '../../../platform/db/unavailable.ts'
import { lockGraphShared } from '../../../platform/db/zone-locks.ts'

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
    /** Compared only under a premise. */
    readonly seen: string
    readonly source: string
    readonly target: string
  }[]
  readonly sessions: readonly string[]
}

/** `refused`: the row broke a constraint of the schema. */
export type Issued = 'inserted' | 'basis_dead' | 'refused'

/** Inserts one record; `basis: null` needs no lock. Rejects with the driver's error. */
export type IssueRecord = (record: NewRecord, basis: LiveBasis | null) => Promise<Issued>

/** `busy`: somebody changes the graph of the zone; the attempt inserted nothing and must be made again. */
export type Attempted = Issued | 'busy'

/** What an exchange took for granted and its write has to prove. */
export interface Premise {
  /** Version of the definitions of the zone. */
  readonly definitions: string
  /** Delegation graph epoch of the zone. */
  readonly epoch: number
}

export interface IssueItem {
  readonly record: NewRecord
  readonly basis: LiveBasis | null
  /** `null` or absent: decided on a snapshot. */
  readonly premise?: Premise | null
}

const maxItems = 128

export function createRecordIssuer(db: Database): IssueRecord {
  const free = createCoalescer<IssueItem, Issued>({
    maxItems,
    flush: (items) => oneBadItemAside(items, (some) => insertRecords({ sql: db.hotWrites }, some), 'refused'),
  })
  const guarded = createCoalescer<IssueItem, Attempted>({
    maxItems,
    flush: (items) => oneBadItemAside(items, (some) => insertWhereFree(db, some), 'refused'),
  })
  const lanes = new Map<string, { waiting: number; add: (item: IssueItem) => Promise<Issued> }>()

  async function issueGuarded(item: IssueItem): Promise<Issued> {
    if (lanes.has(item.record.zoneId)) return await waitInLane(item)
    const attempted = await guarded.add(item)
    return attempted === 'busy' ? await waitInLane(item) : attempted
  }

  /** One lane per zone, for as long as somebody waits in it. */
  async function waitInLane(item: IssueItem): Promise<Issued> {
    const zoneId = item.record.zoneId
    let lane = lanes.get(zoneId)
    if (lane === undefined) {
      const batches = createCoalescer<IssueItem, Issued>({
        maxItems,
        flush: (items) => oneBadItemAside(items, (some) => insertUnderLock(db, zoneId, some), 'refused'),
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

/** A value the store cannot hold (SQLSTATE classes 22 and 23) is the fault of one item: the others are tried without it. */
export async function oneBadItemAside<T, R>(
  items: readonly T[],
  insert: (items: readonly T[]) => Promise<R[]>,
  refused: R,
): Promise<R[]> {
  try {
    return await insert(items)
  } catch (error) {
    if (items.length === 1 || !/^2[23]/.test(sqlState(error) ?? '')) throw error
    const outcomes: R[] = []
    for (const item of items) {
      outcomes.push(
        await insert([item]).then(
          ([only]) => only as R,
          () => refused,
        ),
      )
    }
    return outcomes
  }
}

/** The items of zones whose graph is being changed are answered `busy`. */
async function insertWhereFree(db: Database, items: readonly IssueItem[]): Promise<Attempted[]> {
  return outcomes(items, await insertStatement(db.hotWrites, items))
}

/**
 * Waits for the lock of the zone. The statements are sent in this order and in one go; the driver would
 * otherwise send each when somebody first waits for it, which is not the order they stand in.
 */
async function insertUnderLock(db: Database, zoneId: string, items: readonly IssueItem[]): Promise<Issued[]> {
  const connection = await db.sql.reserve()
  try {
    const insert = insertStatement(connection, items)
    const statements = [connection`begin`, lockGraphShared(connection, zoneId), insert, connection`commit`]
    for (const statement of statements) statement.execute()
    for (const outcome of await Promise.allSettled(statements)) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
    return settled(outcomes(items, await insert))
  } finally {
    connection.release()
  }
}

/** Inserts what rests on nothing dead; the caller holds the locks. */
export async function insertRecords(
  db: Pick<Queryable, 'sql'>,
  items: readonly IssueItem[],
): Promise<Issued[]> {
  return settled(outcomes(items, await insertStatement(db.sql, items)))
}

interface Judged {
  readonly n: number
  readonly outcome: Attempted
}

/** The rules stand in the function of the migration, next to the tables they read. A taken id is nobody's second record. */
function insertStatement(sql: Queryable['sql'], items: readonly IssueItem[]) {
  return sql<Judged[]>`
    select n, case when outcome = 'inserted' and not fresh then 'refused' else outcome end as outcome
    from sts_issue(${issueRows(items)}::text::json, ${guardedZones(items)}::text[], null, '[]', '{}')`
}

/** The first two arguments of the function: the items, and the zones whose locks some of them need. */
export function issueRows(items: readonly IssueItem[]): string {
  return JSON.stringify(items.map(issueRow))
}

export function guardedZones(items: readonly IssueItem[]): string[] {
  return [...new Set(items.filter(({ basis }) => basis !== null).map(({ record }) => record.zoneId))]
}

function issueRow({ record, basis, premise }: IssueItem, n: number) {
  return {
    n,
    id: record.id,
    zone: record.zoneId,
    type: record.sessionType,
    subject: record.subjectId,
    parent: record.parentId,
    since: record.authenticatedAt / 1000,
    until: record.expiresAt / 1000,
    claims: record.claims,
    guarded: basis !== null,
    records: basis?.records ?? [],
    edges: basis?.edges ?? [],
    sessions: basis?.sessions ?? [],
    // Left out of the JSON where there is none.
    known: premise?.definitions,
    epoch: premise?.epoch,
  }
}

function outcomes(items: readonly IssueItem[], judged: readonly Judged[]): Attempted[] {
  const byItem = new Map(judged.map(({ n, outcome }) => [n, outcome]))
  return items.map((_, n) => byItem.get(n) ?? 'refused')
}

/** Under its lock no item can be `busy`. */
function settled(attempted: readonly Attempted[]): Issued[] {
  return attempted.map((outcome) => (outcome === 'busy' ? 'refused' : outcome))
}
