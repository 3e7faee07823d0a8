/** Closed-loop load: each worker sends its next request when the last one was answered. */
import { performance } from 'node:perf_hooks'

export interface Load {
  readonly workers: number
  readonly seconds: number
}

export interface Measured {
  readonly workers: number
  readonly count: number
  /** Operations whose outcome was not the expected one, with how often each was seen. */
  readonly errors: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  /** CPU milliseconds of the server process for each operation. */
  readonly cpuMs: number
  /** The same of its store, where that is known. */
  readonly storeCpuMs: number | null
}

/** What is under load. */
export interface Burdened {
  /** CPU time so far. */
  cpuSeconds(): number
  /** CPU time of its store. */
  storeCpuSeconds?(): number
  /** Resolves once it does no more than an idle one. */
  rest(): Promise<void>
}

/** One operation; answers null, or what went wrong in a few words. */
export type Operation = (worker: number, round: number) => Promise<string | null>

/**
 * Runs `operation` for the time given, after a warm-up of a fifth of it, and measures only what
 * began after the warm-up. CPU time is taken until the server has come to rest, so that evidence
 * stored afterwards is counted where it was caused, and does not slow the round after it.
 */
export async function closedLoop(load: Load, operation: Operation, server: Burdened): Promise<Measured> {
  await run({ ...load, seconds: load.seconds / 5 }, operation)
  const cpuBefore = server.cpuSeconds()
  const storeBefore = server.storeCpuSeconds?.()
  const { times, errors, elapsed } = await run(load, operation)
  await server.rest()
  return summarize({
    workers: load.workers,
    times,
    errors,
    elapsed,
    cpu: server.cpuSeconds() - cpuBefore,
    ...(storeBefore === undefined ? {} : { storeCpu: (server.storeCpuSeconds?.() ?? 0) - storeBefore }),
  })
}

/** What was seen of a load. */
export interface Observed {
  readonly workers: number
  /** Milliseconds of each operation that went well, in any order. */
  readonly times: readonly number[]
  readonly errors: Readonly<Record<string, number>>
  /** Seconds. */
  readonly elapsed: number
  /** Seconds of CPU time. */
  readonly cpu: number
  /** The same of the store. */
  readonly storeCpu?: number
}

export function summarize({ workers, times, errors, elapsed, cpu, storeCpu }: Observed): Measured {
  const sorted = [...times].sort((a, b) => a - b)
  const count = sorted.length
  return {
    workers,
    count,
    errors,
    perSecond: count / elapsed,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? 0,
    cpuMs: count === 0 ? 0 : (cpu * 1000) / count,
    storeCpuMs: count === 0 || storeCpu === undefined ? null : (storeCpu * 1000) / count,
  }
}

async function run(
  load: Load,
  operation: Operation,
): Promise<{ times: number[]; errors: Record<string, number>; elapsed: number }> {
  const times: number[] = []
  const errors: Record<string, number> = {}
  const started = performance.now()
  const deadline = started + load.seconds * 1000
  await Promise.all(
    Array.from({ length: load.workers }, async (_, worker) => {
      for (let round = 0; performance.now() < deadline; round += 1) {
        const at = performance.now()
        const problem = await operation(worker, round).catch((error: unknown) => String(error))
        if (problem === null) times.push(performance.now() - at)
        else errors[problem] = (errors[problem] ?? 0) + 1
      }
    }),
  )
  return { times, errors, elapsed: (performance.now() - started) / 1000 }
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
