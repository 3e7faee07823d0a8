/**
 * The store as roles see it. `sql` is the raw driver for hot and hand-shaped
 * statements, `orm` is Drizzle for everyday CRUD; both share one pool and one
 * set of type rules (see `client.ts`): timestamptz reads as Date, bigint as
 * string, json/jsonb as a parsed value; a JSON parameter is passed as
 * `${JSON.stringify(value)}::jsonb`.
 */

import type postgres from 'postgres'
import type { PostgresJsDatabase } from './drizzle.ts'

export type Sql = postgres.Sql
export type Orm = PostgresJsDatabase

/** Either the pool or an open transaction: what a store function that only runs statements needs. */
export interface Queryable {
  readonly sql: postgres.ISql
  readonly orm: Pick<Orm, 'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'execute'>
}

/** One open transaction. */
export interface Tx extends Queryable {
  readonly sql: postgres.TransactionSql
  /**
   * Sends a write nothing waits for, so that what follows, the commit at last, leaves in one packet with it.
   * When it fails, the transaction fails with its error.
   */
  send(write: postgres.PendingQuery<postgres.Row[]>): void
  /** Runs its callback once after a successful commit (in-process wake-ups). */
  onCommit(callback: () => void): void
}

export interface TransactionOptions {
  /** Sets `caracal.zone_id` for this transaction: work on behalf of a tenant principal. Absent = the pool's `*`. */
  readonly zone?: string
  /**
   * Holds the lock of `bus_event` from before a transaction id can be drawn, so that its entries may be
   * inserted at any later point of the transaction (bus/postgres-horizon.ts). Absent = false.
   */
  readonly publishes?: boolean
  /**
   * `later`: the commit is answered before it is on disk. A crash of the store in the moments after takes it back, and
   * with it every commit that came after it; so for what is done again as long as no later commit says that it was
   * done. Absent = `first`.
   */
  readonly flush?: 'first' | 'later'
}

/** A connection outside the pool, for locks that a session holds on to. Disposing ends it, and with it its locks. */
export interface OwnSession extends Disposable {
  readonly sql: Sql
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>
}

export interface Database extends Queryable, AsyncDisposable {
  readonly sql: Sql
  readonly orm: Orm
  /**
   * For the short statements of a hot path, by key: those of one event-loop turn leave in one packet
   * on one connection and run there one after the other. Never for what waits for a lock or runs long.
   */
  readonly hot: Sql
  /** As `hot`, for those that wait for the disk at their commit: nobody else waits behind them. */
  readonly hotWrites: Sql
  /** Runs `work` in one transaction; SQLSTATE 40001 and 40P01 are retried up to 3 times (storage-and-operations §2). */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>
  session(): Promise<OwnSession>
  /** Rejects when the store does not answer within `timeoutMs` (default 2000). */
  ping(timeoutMs?: number): Promise<void>
  /** LISTEN on a connection of its own, resubscribed after a drop (`onReconnect` tells: read again what may have been missed). */
  listen(
    channel: string,
    onNotify: (payload: string) => void,
    onReconnect?: () => void,
  ): Promise<AsyncDisposable>
  /** Connections in use and the pool's size, for metrics. */
  pool(): { readonly acquired: number; readonly max: number }
}

/** True for errors that mean "Postgres cannot be asked" rather than "Postgres said no" (audit-and-events §6.3). */
export type IsUnavailable = (error: unknown) => boolean
