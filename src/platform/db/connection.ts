/**
 * How every connection to the store is made. The settings that guard a session
 * (zone, time-outs, role) travel as start-up parameters, so that no pooled
 * connection exists without them (storage-and-operations §2.0).
 */
import postgres from 'postgres'
import { arrayTypeOf, arrayTypes } from './array-types.ts'
import { createLeasePool } from './lease.ts'
import { createLines } from './lines.ts'
import { createOutage } from './outage.ts'
import { sendByTurns } from './packets.ts'
import { createPool, type Pool } from './pool.ts'

/** A URL, or the parameters of a server; a `host` that begins with `/` is the directory of its socket. */
export type ConnectionTarget =
  | string
  | {
      readonly host: string
      readonly port: number
      readonly database: string
      readonly user: string
      readonly password?: string
    }

export interface SessionParameters {
  readonly applicationName: string
  /** Milliseconds; 0 = no limit. */
  readonly statementTimeoutMs: number
  readonly idleInTransactionTimeoutMs: number
  /** Database role to run as, for a login that may become it. */
  readonly role?: string | null
  /**
   * `generic`: a prepared statement is planned once for each connection, not for its values. Right for
   * statements by key, whose planning costs several times their execution. Default: Postgres decides.
   */
  readonly plans?: 'auto' | 'generic'
}

export interface PoolParameters {
  readonly max: number
  readonly connectTimeoutMs: number
  /** Idle connections close after this; 0 = never. */
  readonly idleTimeoutMs: number
  readonly onNotice?: (message: string) => void
}

/**
 * One set of type rules for raw statements and for Drizzle: timestamptz reads as Date and json as
 * a parsed value; a string given for either goes out as it is, so that microseconds survive and
 * `${JSON.stringify(value)}::jsonb` is not quoted twice. bigint stays text (driver default).
 */
const types = {
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: (value: unknown) => (value instanceof Date ? value.toISOString() : String(value)),
    parse: (text: string) => new Date(text),
  },
  json: {
    to: 114,
    from: [114, 3802],
    serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
    parse: (text: string): unknown => JSON.parse(text),
  },
}

/**
 * Every statement of a hot line finds its rows by key. Without statistics, or for a list whose length
 * the planner cannot know, it would rather read a table whole, and keep to that plan as the table grows.
 */
const byKey = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
}

/** A pool that opens connections on demand. Nothing is read from the environment. */
export function connect(target: ConnectionTarget, session: SessionParameters, pool: PoolParameters): Pool {
  const connection: Record<string, string> = {
    'caracal.zone_id': '*',
    application_name: session.applicationName,
    statement_timeout: String(session.statementTimeoutMs),
    idle_in_transaction_session_timeout: String(session.idleInTransactionTimeoutMs),
    TimeZone: 'UTC',
    // Our statements are short; compiling one costs more than it could ever save.
    jit: 'off',
    // Disks are not spinning any more: without statistics the planner would read whole streams.
    random_page_cost: '1.1',
  }
  if (session.role) connection.role = session.role
  if (session.plans === 'generic') connection.plan_cache_mode = 'force_generic_plan'
  const outage = createOutage()
  const listening = createOutage()
  const common = {
    connect_timeout: Math.max(1, Math.ceil(pool.connectTimeoutMs / 1000)),
    max_pipeline: 100,
    keep_alive: 60,
    prepare: true,
    fetch_types: false,
    // The driver itself only reconnects to listen; it does not see a refused log-in as a failure.
    backoff: () => {
      listening.lost()
      return listening.waitMs() / 1000
    },
    connection,
    types: { ...types, ...arrayTypes },
    onnotice: (notice: postgres.Notice) => pool.onNotice?.(notice.message ?? 'notice'),
  }
  const open = (own: postgres.Options<Record<string, postgres.PostgresType>>): postgres.Sql => {
    const options = { ...common, ...own }
    const client = (typeof target === 'string'
      ? postgres(target, options)
      : postgres({
          ...options,
          host: target.host,
          port: target.port,
          database: target.database,
          username: target.user,
          password: target.password ?? '',
        })) as unknown as postgres.Sql
    const { shared } = client.options as unknown as { shared: { typeArrayMap: Record<number, number> } }
    Object.assign(shared.typeArrayMap, arrayTypeOf)
    sendByTurns(client)
    return client
  }

  const leasePool = (max: number, idleTimeoutMs: number) =>
    createLeasePool({
      max,
      idleTimeoutMs,
      // The driver must not close by itself what may be in a transaction or hold a lock.
      open: (onclose) => open({ max: 1, idle_timeout: 0, max_lifetime: null, onclose }),
    })
  const lines = (count: number, idleTimeoutMs: number, own: Record<string, string> = {}) =>
    createLines({
      count,
      idleTimeoutMs,
      connectTimeoutMs: pool.connectTimeoutMs,
      outage,
      open: (hooks) =>
        open({
          max: 1,
          idle_timeout: 0,
          max_lifetime: null,
          ...hooks,
          connection: { ...connection, ...own },
        }),
    })
  // Half of the connections are for statements, which share them; half are for transactions.
  const held = Math.max(1, Math.floor(pool.max / 2))
  return createPool({
    hot: lines(1, 0, byKey),
    hotWrites: lines(1, 0, byKey),
    statements: lines(Math.max(1, pool.max - held - 2), pool.idleTimeoutMs),
    leases: leasePool(held, pool.idleTimeoutMs),
    sessions: leasePool(Number.POSITIVE_INFINITY, 0),
  })
}
