/**
 * Opens the store: one pool, shared by raw statements and Drizzle. Every connection starts at
 * zone `*` with its time-outs as start-up parameters, and as a role that row security binds.
 */

import type { Logger } from 'pino'
import { within } from '../within.ts'
import { type ConnectionTarget, connect, type SessionParameters } from './connection.ts'
import { ormOver } from './orm.ts'
import type { Database, Sql } from './port.ts'
import { decideSessionRole } from './session-role.ts'
import { runTransaction } from './transaction.ts'
import { DatabaseTimeout, isUnavailable, storeTimeout } from './unavailable.ts'

/** The members of `Settings` that shape a pool (storage-and-operations §10.2). Times in milliseconds. */
export interface DatabaseSettings {
  readonly CARACAL_MODE: 'dev' | 'rc' | 'stable'
  readonly CARACAL_DB_ALLOW_BYPASSRLS: boolean
  readonly DB_POOL_MAX: number
  readonly DB_STATEMENT_TIMEOUT_MS: number
  readonly DB_IDLE_IN_TX_TIMEOUT_MS: number
  readonly DB_CONNECTION_TIMEOUT_MS: number
  readonly DB_IDLE_TIMEOUT_MS: number
}

export interface OpenDatabaseOptions {
  readonly connection: ConnectionTarget
  /** `caracal-<role>`; shown in `pg_stat_activity`. */
  readonly applicationName: string
  readonly settings: DatabaseSettings
  readonly log: Pick<Logger, 'warn' | 'error' | 'debug'>
  /** How prepared statements are planned; see `SessionParameters.plans`. */
  readonly plans?: 'auto' | 'generic'
  /** Run as this role from the start (the embedded store: `caracal_app`). Absent: decided by what the login is. */
  readonly role?: string
}

/** Rejects when the store cannot be reached or its login bypasses row security where it may not. */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  const { settings, log } = options
  const session: SessionParameters = {
    applicationName: options.applicationName,
    statementTimeoutMs: settings.DB_STATEMENT_TIMEOUT_MS,
    idleInTransactionTimeoutMs: settings.DB_IDLE_IN_TX_TIMEOUT_MS,
    role: options.role ?? null,
    plans: options.plans ?? 'auto',
  }
  const pool = {
    max: settings.DB_POOL_MAX,
    connectTimeoutMs: settings.DB_CONNECTION_TIMEOUT_MS,
    idleTimeoutMs: settings.DB_IDLE_TIMEOUT_MS,
    onNotice: (message: string) => log.debug({ notice: message }, 'database_notice'),
  }

  const { sql: login } = connect(options.connection, session, { ...pool, max: 1 })
  let role = session.role ?? null
  try {
    const decided = await decideSessionRole(login, {
      mode: settings.CARACAL_MODE,
      allowBypass: settings.CARACAL_DB_ALLOW_BYPASSRLS,
    })
    if (decided.warning !== null) log.warn({ warning: decided.warning }, 'database_role')
    role = decided.role ?? role
  } finally {
    await login.end({ timeout: 1 })
  }

  const {
    sql,
    hot,
    hotWrites,
    session: ownSession,
    inFlight,
    transact,
  } = connect(options.connection, { ...session, role }, pool)
  const onCallbackError = (error: unknown) => log.error({ err: error }, 'on_commit_callback_failed')

  return {
    sql,
    hot,
    hotWrites,
    orm: ormOver(sql),
    transaction: (work, transactionOptions = {}) =>
      runTransaction(transact, work, transactionOptions, onCallbackError),
    session: ownSession,
    ping: (timeoutMs = 2000) => ping(sql, timeoutMs),
    listen: (channel, onNotify, onReconnect) => listen(sql, channel, onNotify, onReconnect),
    pool: () => ({ acquired: Math.min(inFlight(), pool.max), max: pool.max }),
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 5 })
    },
  }
}

async function ping(sql: Sql, timeoutMs: number): Promise<void> {
  const query = sql`select 1`
  try {
    await within(query, timeoutMs, storeTimeout)
  } catch (error) {
    // Takes a waiting statement out of the queue; one on its way is ended by the statement time-out.
    if (error instanceof DatabaseTimeout) query.cancel()
    throw error
  }
}

async function listen(
  sql: Sql,
  channel: string,
  onNotify: (payload: string) => void,
  onReconnect?: () => void,
): Promise<AsyncDisposable> {
  let active = true
  let subscribed = false
  try {
    // The driver keeps one connection for all channels and subscribes again after every drop.
    const subscription = await sql.listen(
      channel,
      (payload) => {
        if (active) onNotify(payload)
      },
      () => {
        if (active && subscribed) onReconnect?.()
        subscribed = true
      },
    )
    return {
      [Symbol.asyncDispose]: async () => {
        if (!active) return
        active = false
        await subscription.unlisten().catch((error: unknown) => {
          if (!isUnavailable(error)) throw error
        })
      },
    }
  } catch (error) {
    // The driver goes on trying in the background; nobody waits for this subscription any more.
    active = false
    throw error
  }
}
