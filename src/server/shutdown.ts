/**
 * The end of a server (storage-and-operations §11): drain, finish requests and jobs, flush
 * evidence, close what is below. Requests and jobs never get the last part of the budget,
 * which belongs to evidence.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { JobRunner } from '../platform/jobs/runner.ts'
import type { Listener } from './listener.ts'
import type { RunningRoles } from './roles.ts'
import type { RoleThread } from './thread/start-thread.ts'

/** What there is to close; filled while the server starts. */
export interface ShutdownParts {
  readonly listeners: Listener[]
  readonly runners: JobRunner[]
  roles: RunningRoles | null
  readonly thread: RoleThread | null
  platform: AsyncDisposable | null
  store: AsyncDisposable | null
}

const requestPatienceMs: Readonly<Record<string, number>> = { gateway: 14_000, sts: 10_000, audit: 10_000 }
const jobPatienceMs = 12_000
/** Kept for flushing evidence and closing stores. */
const reservedMs = 4000

/** Closes everything within `budgetMs`. Answers what did not end well; empty is clean. Runs every step whatever happened before. */
export async function shutDown(
  parts: ShutdownParts,
  budgetMs: number,
  log: Logger,
  done = 'stopped',
): Promise<string[]> {
  const failures: string[] = []
  const began = performance.now()
  const left = (): number => Math.max(0, budgetMs - (performance.now() - began))
  const work = closeInOrder(parts, Math.max(0, budgetMs - Math.min(reservedMs, budgetMs / 3)), failures)
  const timeout = new AbortController()
  const inTime = await Promise.race([
    work.then(() => true),
    sleep(left(), false, { signal: timeout.signal }).catch(() => true),
  ])
  timeout.abort()
  if (!inTime) failures.push(`shutdown took longer than SHUTDOWN_GRACE_MS (${budgetMs} ms)`)
  for (const failure of failures) log.error({ failure }, 'shutdown failed')
  if (failures.length === 0 && parts.listeners.length > 0)
    log.info({ shutdown_ms: Math.round(performance.now() - began) }, done)
  return failures
}

async function closeInOrder(parts: ShutdownParts, workBudgetMs: number, failures: string[]): Promise<void> {
  const attempt = async (what: string, work: () => PromiseLike<unknown> | undefined): Promise<void> => {
    try {
      await work()
    } catch (error) {
      failures.push(`${what}: ${(error as Error).message}`)
    }
  }
  for (const role of parts.roles?.inOrder ?? []) role.drain()
  for (const listener of parts.listeners) listener.drain()
  await Promise.all([
    ...parts.listeners.map(async (listener) => {
      const patience = Math.min(requestPatienceMs[listener.name] ?? workBudgetMs, workBudgetMs)
      const cut = await listener.close(patience)
      if (cut > 0) failures.push(`${cut} requests of ${listener.name} were cut`)
    }),
    stopJobs(parts.runners, Math.min(jobPatienceMs, workBudgetMs), failures),
    attempt('thread', async () => void failures.push(...((await parts.thread?.stop(workBudgetMs)) ?? []))),
  ])
  for (const role of [...(parts.roles?.inOrder ?? [])].reverse())
    await attempt(`role ${role.name}`, () => role[Symbol.asyncDispose]())
  await attempt('evidence', () => parts.roles?.[Symbol.asyncDispose]())
  await attempt('platform', () => parts.platform?.[Symbol.asyncDispose]())
  await attempt('embedded store', () => parts.store?.[Symbol.asyncDispose]())
}

/** Last registered first; all of them share one budget. */
async function stopJobs(
  runners: readonly JobRunner[],
  patienceMs: number,
  failures: string[],
): Promise<void> {
  const stopping = Promise.all([...runners].reverse().map((runner) => runner.stop()))
  const timeout = new AbortController()
  const late = await Promise.race([
    stopping,
    sleep(patienceMs, null, { signal: timeout.signal }).catch(() => null),
  ])
  timeout.abort()
  if (late === null) failures.push('jobs did not end in time')
  else for (const name of late.flat()) failures.push(`job ${name} did not end in time`)
}
