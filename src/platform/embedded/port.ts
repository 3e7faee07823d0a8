/** What an embedded store is asked for, and what it offers. */

/** How to reach the store with the `postgres` driver: `postgres({ ...connection })`. */
export interface EmbeddedConnection {
  /** The unix socket itself. */
  readonly path: string
  /** The directory of the socket, as libpq wants it. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface EmbeddedPostgres extends AsyncDisposable {
  readonly connection: EmbeddedConnection
  /** `18.4.0` */
  readonly version: string
  /** Pid of the running server; for diagnostics. */
  readonly pid: number | null
  /** Asks an own server to stop and does not wait: for a process that must leave now. */
  abandon(): void
}

interface EmbeddedLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface EmbeddedOptions {
  /** Holds cluster, socket and password; made when absent. */
  readonly dataDir: string
  readonly log: EmbeddedLog
  /** Further server settings, such as `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string>>
  /** Part of the socket's name, and the TCP port where `settings` opens one; default 5432. */
  readonly port?: number
  /** Called once when the server died and cannot be brought back. */
  readonly onFailure?: (error: Error) => void
}
