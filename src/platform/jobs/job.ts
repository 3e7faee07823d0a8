import type { Logger } from 'pino'

/** A periodic piece of work. The runner never overlaps a job with itself and logs `<name>_failed` on an error. */
export interface Job {
  /** snake_case, as it appears in logs and metrics. */
  readonly name: string
  readonly intervalMs: number
  /** Run once right after start instead of after the first interval. */
  readonly immediate?: boolean
  /** Where its runs log, and its failures are logged; the runner's log unless given. */
  readonly log?: Logger
  run(context: JobContext): Promise<void>
}

export interface JobContext {
  /** Aborted when the process stops; a running iteration should end soon after. */
  readonly signal: AbortSignal
  /** For everything this iteration has to say: its lines share one trace id (storage-and-operations §14.1). */
  readonly log: Logger
}
