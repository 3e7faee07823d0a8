/**
 * Open-loop load: requests arrive at a rate, whether or not earlier ones were answered. The time of each counts
 * from the moment it was due, so that a server that stalls does not hide the requests it kept waiting.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Burdened, type Measured, type Operation, summarize } from './closed-loop.ts'

export interface Arrivals {
  readonly perSecond: number
  readonly seconds: number
  /** Operations tell their callers apart by number; arrivals go round them. */
  readonly callers: number
}

/** `workers` of the answer is the largest number of requests that were under way at once. */
export async function openLoop(
  { perSecond, seconds, callers }: Arrivals,
  operation: Operation,
  server: Burdened,
): Promise<Measured> {
  const total = Math.max(1, Math.round(perSecond * seconds))
  const times: number[] = []
  const errors: Record<string, number> = {}
  const underWay = new Set<Promise<void>>()
  let most = 0
  const cpuBefore = server.cpuSeconds()
  const started = performance.now()

  const one = async (n: number, due: number): Promise<void> => {
    const problem = await operation(n % callers, Math.floor(n / callers)).catch((error: unknown) =>
      String(error),
    )
    if (problem === null) times.push(performance.now() - due)
    else errors[problem] = (errors[problem] ?? 0) + 1
  }

  for (let n = 0; n < total; n += 1) {
    const due = started + (n * 1000) / perSecond
    const early = due - performance.now()
    if (early > 1) await sleep(early)
    const running = one(n, due).finally(() => underWay.delete(running))
    underWay.add(running)
    most = Math.max(most, underWay.size)
  }
  await Promise.all(underWay)
  const elapsed = (performance.now() - started) / 1000
  await server.rest()
  const cpu = server.cpuSeconds() - cpuBefore
  return summarize({ workers: most, times, errors, elapsed, cpu })
}
