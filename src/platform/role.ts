/**
 * What a role is to the process that hosts it: HTTP in front, background jobs
 * behind, and a lifecycle. `server/` is the only caller; a role never starts a
 * listener, a timer or a signal handler by itself.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Hono } from 'hono'
import { type RoleName, roleNames } from '../config/roles.ts'
import type { Job } from './jobs/job.ts'

export { type RoleName, roleNames }

/** Body and status of `/health` or `/ready`, in the wire form of the role (storage-and-operations §12). */
export interface HealthReport {
  readonly status: 200 | 429 | 503
  /** `null` is an empty body. */
  readonly body: Readonly<Record<string, unknown>> | null
}

/** Limits of the role's HTTP server (storage-and-operations §16). All times in milliseconds. */
export interface HttpLimits {
  readonly headerBytes: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /** Connections held at once; more are closed as they come. Absent or 0 = no limit. */
  readonly maxConnections?: number
}

export interface Role extends AsyncDisposable {
  readonly name: RoleName
  /** The role's whole HTTP surface, `/health`, `/ready` and `/metrics` included. */
  readonly app: Hono
  /**
   * Looks at a request before Hono does; answers `true` when it took it.
   * The gateway writes a proxied stream straight to the Node response; the STS answers mints by it.
   */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean
  readonly limits: HttpLimits
  readonly jobs: readonly Job[]
  /** Everything that must hold before the listener opens. Rejects when it cannot. */
  prepare(signal: AbortSignal): Promise<void>
  /** From now on `/ready` answers 503 `{"ok":false,"draining":true}`; requests in flight go on. */
  drain(): void
}
