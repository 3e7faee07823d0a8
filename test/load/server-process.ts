/** One `caracal serve` that can be killed, frozen and started again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, readFileSync, type WriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LiveHeap } from './live-heap.ts'
import { childrenOf } from './process-tree.ts'

/** The built binary, seen from here and from where the load programs are compiled to. */
const up = import.meta.url.includes('/.bench/') ? '../../../' : '../../'
export const main = fileURLToPath(new URL(`${up}dist/main.js`, import.meta.url))

export interface ServerProcess {
  readonly name: string
  readonly pid: number
  /** The processes that serve, when it only hands connections out to them (`--workers`). */
  readonly workerPids: readonly number[]
  /** One for each listener. */
  readonly urls: readonly string[]
  /** Starts it and does not wait; `env` is for this start only. */
  start(env?: Readonly<Record<string, string>>): void
  /** Exit code or signal. */
  end(signal: NodeJS.Signals): Promise<string>
  /** Every listener answers `/ready` with 200; else what the first one said that does not. */
  ready(): Promise<'ready' | string>
  /** How long each of its processes has waited for a processor, in milliseconds by pid; what a busy machine adds. */
  queuedMs(): ReadonlyMap<number, number>
  /** Resident memory in bytes. */
  residentBytes(): number
  /** What it held after full collections, when it is watched. */
  liveHeap(): ReturnType<LiveHeap['samples']>
  /** Ends of the process that nobody asked for. */
  readonly deaths: readonly string[]
}

export function createServerProcess(options: {
  readonly name: string
  readonly args: readonly string[]
  readonly urls: readonly string[]
  /** As in `--workers=N`; connections are handed out to them in turn. */
  readonly workers?: number
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  readonly liveHeap?: LiveHeap | undefined
}): ServerProcess {
  const log: WriteStream = createWriteStream(options.logFile, { flags: 'a' })
  const deaths: string[] = []
  let child: ChildProcess | null = null
  let asked = false
  const one: ServerProcess = {
    name: options.name,
    urls: options.urls,
    deaths,
    get pid() {
      return child?.pid ?? 0
    },
    get workerPids() {
      return options.workers === undefined ? [] : childrenOf(one.pid)
    },
    start(env = {}) {
      asked = false
      const started = spawn(process.execPath, [main, 'serve', ...options.args], {
        cwd: options.cwd,
        env: { PATH: process.env.PATH, HOME: options.cwd, ...options.liveHeap?.env, ...options.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child = started
      started.stdout.pipe(log, { end: false })
      started.stderr.pipe(log, { end: false })
      started.once('exit', (code, signal) => {
        if (asked || child !== started) return
        const lastWords = readFileSync(options.logFile, 'utf8').trim().split('\n').at(-1) ?? ''
        deaths.push(`${options.name} ended with ${signal ?? code}: ${lastWords.slice(0, 600)}`)
      })
    },
    async end(signal) {
      const ending = child
      if (ending === null) return 'not started'
      asked = true
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      if (ending.exitCode === null && ending.signalCode === null) {
        ending.kill(signal)
        await ended
      }
      return String(ending.signalCode ?? ending.exitCode)
    },
    queuedMs: () => new Map([one.pid, ...one.workerPids].map((pid) => [pid, queuedMsOf(pid)])),
    residentBytes: () => residentBytesOf(child?.pid ?? 0),
    liveHeap: () => options.liveHeap?.samples() ?? [],
    async ready() {
      // Each on a connection of its own, so that every worker is asked for every listener.
      for (const url of Array.from({ length: options.workers ?? 1 }).flatMap(() => options.urls)) {
        try {
          const answer = await fetch(`${url}/ready`, {
            headers: { connection: 'close' },
            signal: AbortSignal.timeout(3000),
          })
          const body = await answer.text()
          if (!answer.ok) return `${options.name} ${body.slice(0, 120)}`
        } catch (error) {
          return `${options.name} ${String((error as Error).cause ?? error).slice(0, 120)}`
        }
      }
      return 'ready'
    },
  }
  return one
}

/** Linux counts it for the main thread, on which everything that matters runs; elsewhere 0. */
function queuedMsOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

export function residentBytesOf(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * 1024
}

export async function untilReady(one: ServerProcess, patienceMs = 120_000): Promise<void> {
  const deadline = Date.now() + patienceMs
  let said = 'nothing'
  while (Date.now() < deadline) {
    said = await one.ready()
    if (said === 'ready') return
    if (one.deaths.length > 0) throw new Error(one.deaths.join('; '))
    await sleep(50)
  }
  throw new Error(`${one.name} was not ready within ${patienceMs} ms: ${said}`)
}
