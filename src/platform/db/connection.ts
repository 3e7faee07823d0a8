/**
 * How every connection to the store is made. The settings that guard a session
 * (zone, time-outs, role) travel as start-up parameters, so that no pooled
 * connection exists without them (storage-and-operations §2.0).
 */
import postgres from 'postgres'

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

/** A pool that opens connections on demand. Nothing is read from the environment. */
export function connect(
  target: ConnectionTarget,
  session: SessionParameters,
  pool: PoolParameters,
): postgres.Sql {
  const connection: Record<string, string> = {
    'caracal.zone_id': '*',
    application_name: session.applicationName,
    statement_timeout: String(session.statementTimeoutMs),
    idle_in_transaction_session_timeout: String(session.idleInTransactionTimeoutMs),
    TimeZone: 'UTC',
  }
  if (session.role) connection.role = session.role
  const options = {
    max: pool.max,
    connect_timeout: Math.max(1, Math.ceil(pool.connectTimeoutMs / 1000)),
    idle_timeout: Math.ceil(pool.idleTimeoutMs / 1000),
    max_pipeline: 100,
    keep_alive: 60,
    prepare: true,
    // After a drop the next statement tries again soon: at most a second, jittered.
    backoff: (retries: number) => Math.min(0.02 * 2 ** retries, 1) * (0.5 + Math.random() / 2),
    connection,
    types,
    onnotice: (notice: postgres.Notice) => pool.onNotice?.(notice.message ?? 'notice'),
  }
  const client =
    typeof target === 'string'
      ? postgres(target, options)
      : postgres({
          ...options,
          host: target.host,
          port: target.port,
          database: target.database,
          username: target.user,
          password: target.password ?? '',
        })
  return client as unknown as postgres.Sql
}
