import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { JobContext } from './job.ts'

/**
 * What one background iteration runs with. Its lines share a trace id of their own, which an iteration
 * that says nothing never makes: hand the context on, and ask for its log where there is something to say.
 */
export function iterationOf(log: Logger, signal: AbortSignal): JobContext {
  let bound: Logger | undefined
  return {
    signal,
    get log() {
      bound ??= log.child({ trace_id: randomBytes(16).toString('hex') })
      return bound
    },
  }
}
