/**
 * Runs periodic jobs. A job never overlaps itself; an iteration that fails is
 * logged as `<name>_failed`, counted, and the job goes on at its next interval,
 * which is measured from the end of the iteration.
 */
import type { Logger } from 'pino'
import { Counter, type Registry } from 'prom-client'
import { iterationOf } from './iteration.ts'
import type { Job } from './job.ts'

export interface JobRunnerOptions {
  readonly log: Logger
  /** Where `caracal_job_runs_total` and `caracal_job_failures_total` are registered; absent = not counted. */
  readonly metrics?: Registry
  /** How long `stop` waits for running iterations (default 12 s, storage-and-operations §11). */
  readonly stopTimeoutMs?: number
}

export interface JobRunner extends AsyncDisposable {
  start(jobs: readonly Job[]): void
  /**
   * Aborts the jobs in reverse order of registration and waits for running iterations. Answers the
   * names of jobs that did not end in time.
   */
  stop(): Promise<readonly string[]>
}

interface Running {
  readonly job: Job
  readonly abort: AbortController
  readonly ended: Promise<void>
}

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const { log } = options
  const registers = options.metrics === undefined ? [] : [options.metrics]
  const runs = new Counter({
    name: 'caracal_job_runs_total',
    help: 'Iterations of periodic jobs.',
    labelNames: ['job'],
    registers,
  })
  const failures = new Counter({
    name: 'caracal_job_failures_total',
    help: 'Iterations of periodic jobs that ended with an error.',
    labelNames: ['job'],
    registers,
  })
  let running: Running[] = []

  const loop = async (job: Job, signal: AbortSignal): Promise<void> => {
    if (job.immediate !== true) await pause(job.intervalMs, signal)
    while (!signal.aborted) {
      runs.inc({ job: job.name })
      const context = iterationOf(job.log ?? log, signal)
      try {
        await job.run(context)
      } catch (error) {
        // An iteration cut short by stopping is no failure.
        if (!signal.aborted) {
          failures.inc({ job: job.name })
          context.log.error({ err: error, job: job.name }, `${job.name}_failed`)
        }
      }
      await pause(job.intervalMs, signal)
    }
  }

  const stop = async (): Promise<readonly string[]> => {
    const stopping = running.reverse()
    running = []
    for (const { abort } of stopping) abort.abort()
    const late = new Set(stopping.map(({ job }) => job.name))
    const timeout = new AbortController()
    const all = Promise.all(
      stopping.map(async ({ job, ended }) => {
        await ended
        late.delete(job.name)
      }),
    )
    await Promise.race([all, pause(options.stopTimeoutMs ?? 12_000, timeout.signal)])
    timeout.abort()
    if (late.size > 0) log.error({ jobs: [...late] }, 'jobs_not_stopped')
    return [...late]
  }

  return {
    start(jobs) {
      for (const job of jobs) {
        const abort = new AbortController()
        running.push({ job, abort, ended: loop(job, abort.signal) })
      }
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** Settles after `ms` or on abort, whichever is first. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
