/**
 * A server in several processes (`caracal serve --workers`, design §7). The primary owns the embedded
 * store, brings the schema up to date, holds the listening sockets and hands connections out in turn;
 * it runs no role. Workers are replicas of one another: background work is elected among them, so
 * one that dies takes nothing along, and another follows it in the same place.
 */
import cluster, { type Worker } from 'node:cluster'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Settings } from '../../config/env.ts'
import { ConfigError, type Environment, rolesOf } from '../../config/load.ts'
import type { ProcessLogger } from '../../platform/observe/logger.ts'
import type { Exposition } from '../merge-metrics.ts'
import type { Server } from '../start.ts'
import { layFoundation } from './foundation.ts'
import type { Address, ToPrimary, ToWorker } from './messages.ts'
import { relayLines } from './relay-lines.ts'
import { closeUndelivered } from './undelivered.ts'

export type RunningWorkers = Pick<Server, 'listeners' | 'failed' | 'stop' | 'abandon'>

export interface WorkersOptions {
  readonly logger: ProcessLogger
  readonly signal: AbortSignal
  readonly count: number
  readonly env: Environment
  readonly cwd: string
}

/** Of a restart; doubles with each death in the same place until a worker has lasted a minute. */
const firstPauseMs = 250
const longestPauseMs = 30_000
const lastedMs = 60_000
/** Starts in one place that never became ready, with no other worker left, before the server gives up. */
const mostFailedStarts = 5
const measurePatienceMs = 2000
/** What the primary keeps of the grace for the store, once the workers are gone. */
const ownShare = 0.2
const mostOwnMs = 2000

interface Chair {
  readonly number: number
  worker: Worker | null
  ready: boolean
  /** Deaths since a worker here last lasted. */
  deaths: number
  exited: Promise<void>
}

/** Starts `count` workers and resolves once all of them serve. Rejects with what the first one that could not said. */
export async function startWorkers(settings: Settings, options: WorkersOptions): Promise<RunningWorkers> {
  const began = performance.now()
  const { logger, signal, count } = options
  const { log } = logger
  const roles = rolesOf(settings)
  const foundation = await layFoundation(settings, roles, count, log, signal)
  const ownMs = Math.min(mostOwnMs, settings.SHUTDOWN_GRACE_MS * ownShare)
  const workerGraceMs = Math.floor(settings.SHUTDOWN_GRACE_MS - ownMs)
  const chairs = Array.from(
    { length: count },
    (_, index): Chair => ({
      number: index + 1,
      worker: null,
      ready: false,
      deaths: 0,
      exited: Promise.resolve(),
    }),
  )
  const stopping = new AbortController()
  let giveUp: (error: Error) => void = () => {}
  const failed = new Promise<Error>((resolve) => {
    giveUp = resolve
  })
  void foundation.store.failed.then(giveUp)

  // In turn, whatever the platform's habit: a kernel gives most connections to few processes.
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({
    exec: fileURLToPath(new URL(`./worker-process${extname(import.meta.url)}`, import.meta.url)),
    args: [],
    // Lines of several processes must not be mixed within a pipe: the primary passes them on whole.
    silent: true,
  })
  const measurements = createMeasurements(chairs)

  /** Resolves with the addresses once the worker serves; rejects when it ends before. */
  const seat = (chair: Chair): Promise<Readonly<Record<string, Address>>> =>
    new Promise((resolve, reject) => {
      const worker = cluster.fork()
      const since = performance.now()
      let problems: readonly string[] = []
      chair.worker = worker
      const tell = (message: ToWorker): void => {
        if (worker.isConnected()) worker.send(message)
      }
      closeUndelivered(worker.process)
      relayLines(worker.process.stdout, process.stdout)
      relayLines(worker.process.stderr, process.stderr)
      worker.on('error', (error) => log.warn({ worker: chair.number, err: error }, 'worker channel'))
      worker.on('message', (message: ToPrimary) => {
        if (message.kind === 'online')
          tell({
            kind: 'start',
            place: {
              number: chair.number,
              env: environmentOf(options.env, chair.number, workerGraceMs),
              roles,
              cwd: options.cwd,
              connection: foundation.connection,
            },
          })
        else if (message.kind === 'ready') {
          chair.ready = true
          resolve(message.listeners)
        } else if (message.kind === 'failed') problems = message.problems
        else if (message.kind === 'measured') measurements.heard(chair, message.id, message.text)
        else
          void measurements
            .others(chair, message.listener)
            .then((expositions) => tell({ kind: 'measured', id: message.id, expositions }))
      })
      chair.exited = new Promise((done) => {
        // `close`, not `exit`: its last lines have been passed on by then.
        worker.process.once('close', (code, killedBy) => {
          const wasReady = chair.ready
          chair.worker = null
          chair.ready = false
          done()
          reject(new ConfigError(problems.length > 0 ? problems : [endOf(chair, code, killedBy)]))
          if (stopping.signal.aborted) {
            if (code !== 0) lost.push(endOf(chair, code, killedBy))
            return
          }
          if (performance.now() - since > lastedMs) chair.deaths = 0
          chair.deaths += 1
          if (!started) return
          log.error(
            { worker: chair.number, worker_pid: worker.process.pid, code, signal: killedBy, problems },
            'worker ended',
          )
          const hopeless = !wasReady && chair.deaths >= mostFailedStarts && !chairs.some((one) => one.ready)
          if (hopeless)
            giveUp(new Error(`workers keep ending: ${problems[0] ?? endOf(chair, code, killedBy)}`))
          else void replace(chair)
        })
      })
    })

  const replace = async (chair: Chair): Promise<void> => {
    const pauseMs = chair.deaths === 1 ? 0 : Math.min(longestPauseMs, firstPauseMs * 2 ** (chair.deaths - 2))
    await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
    if (stopping.signal.aborted) return
    await seat(chair).then(
      () => log.info({ worker: chair.number, worker_pid: chair.worker?.process.pid }, 'worker is back'),
      () => {}, // its exit was logged, and led here again
    )
  }

  const lost: string[] = []
  let started = false
  const killAll = (): void => {
    for (const { worker } of chairs) worker?.process.kill('SIGKILL')
  }
  const stop = once(async (): Promise<readonly string[]> => {
    stopping.abort()
    for (const { worker } of chairs)
      if (worker?.isConnected()) worker.send({ kind: 'stop' } satisfies ToWorker)
    const late = new AbortController()
    const killer = sleep(workerGraceMs + ownMs / 2, undefined, { signal: late.signal }).then(
      killAll,
      () => {},
    )
    await Promise.all(chairs.map((chair) => chair.exited))
    late.abort()
    await killer
    await foundation[Symbol.asyncDispose]()
    for (const failure of lost) log.error({ failure }, 'shutdown failed')
    if (lost.length === 0) log.info({ workers: count }, 'stopped')
    return lost
  })

  const onAbort = (): void => void stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const [listeners] = await Promise.all(chairs.map(seat))
    signal.throwIfAborted()
    started = true
    // One that ended between its own readiness and that of the last.
    for (const chair of chairs) if (chair.worker === null) void replace(chair)
    announce(listeners ?? {}, settings, log)
    log.info(
      {
        roles,
        mode: settings.CARACAL_MODE,
        store: foundation.store.embedded ? 'embedded' : 'postgres',
        bus: settings.REDIS_URL === null ? 'postgres' : 'redis',
        workers: count,
        startup_ms: Math.round(performance.now() - began),
      },
      'ready',
    )
    return {
      listeners: listeners ?? {},
      failed,
      stop,
      abandon() {
        killAll()
        foundation.store.abandon()
      },
    }
  } catch (error) {
    await stop()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Names that must differ between processes, where somebody chose them; the grace a worker has. */
function environmentOf(env: Environment, number: number, graceMs: number): Environment {
  const own = (name: string): Record<string, string> => {
    const chosen = env[name]
    return chosen ? { [name]: `${chosen}:${number}` } : {}
  }
  return {
    ...env,
    ...own('WORKER_ID'),
    ...own('AUDIT_CONSUMER_NAME'),
    ...own('RELAY_CONSUMER_NAME'),
    SHUTDOWN_GRACE_MS: String(graceMs),
  }
}

/** Who asked for the metrics of the others, and what has come in. */
function createMeasurements(chairs: readonly Chair[]) {
  const waiting = new Map<number, (text: string) => void>()
  let questions = 0
  return {
    heard(_from: Chair, id: number, text: string): void {
      waiting.get(id)?.(text)
    },
    async others(asker: Chair, listener: string): Promise<readonly Exposition[]> {
      const asked = chairs.filter((chair) => chair !== asker && chair.ready)
      const answers = await Promise.all(
        asked.map(async (chair): Promise<Exposition | null> => {
          questions += 1
          const id = questions
          const late = new AbortController()
          const answer = new Promise<string>((resolve) => waiting.set(id, resolve))
          chair.worker?.send({ kind: 'measure', id, listener } satisfies ToWorker)
          const text = await Promise.race([
            answer,
            sleep(measurePatienceMs, '', { signal: late.signal }).catch(() => ''),
          ])
          late.abort()
          waiting.delete(id)
          return text === '' ? null : { name: String(chair.number), text }
        }),
      )
      return answers.filter((answer) => answer !== null)
    },
  }
}

function announce(
  listeners: Readonly<Record<string, Address>>,
  { HOST: host }: Settings,
  log: ProcessLogger['log'],
): void {
  for (const [name, { port }] of Object.entries(listeners))
    log
      .child({ service: name === 'console' ? 'control' : name })
      .info({ listener: name, host, port }, 'listening')
}

function endOf({ number }: Chair, code: number | null, signal: string | null): string {
  return `worker ${number} ended with ${signal || `exit code ${code}`}`
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () => {
    running ??= work()
    return running
  }
}
