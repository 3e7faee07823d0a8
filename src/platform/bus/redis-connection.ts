/**
 * One connection to Redis that mends itself (audit-and-events §18). While it is
 * away commands fail at once instead of queueing; a command that is not answered
 * in time gives the connection up for dead; nothing here ever ends the process.
 * A blocked read occupies its connection: every reader opens its own.
 */
import type { Logger } from 'pino'
import { createClient, ErrorReply } from 'redis'
import { createBell } from './wait.ts'

export interface RedisSettings {
  /** Milliseconds, as are the others. */
  readonly REDIS_DIAL_TIMEOUT: number
  readonly REDIS_READ_TIMEOUT: number
}

export interface RedisConnectionOptions {
  readonly url: string
  readonly log: Logger
  readonly settings: RedisSettings
  /** What the connection is for, in logs and `CLIENT LIST`. */
  readonly name: string
}

/** Thrown when Redis cannot be asked, or says that it cannot answer for now. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway'
}

/** A command that was not answered in time although the connection stood. */
export class RedisTimeout extends RedisAway {}

export type RedisClient = ReturnType<typeof makeClient>

export interface RedisConnection extends AsyncDisposable {
  /**
   * Runs commands that were issued in one tick, in one pipeline. Rejects with `RedisAway`, or with
   * the error reply of Redis. On abort the connection is dropped, which ends a blocked read.
   */
  run<T>(
    work: (client: RedisClient) => Promise<T>,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<T>
  /** Changes with every new connection. */
  readonly epoch: number
}

/** How long a command waits for a connection that was lost just now, or is being made for the first time. */
const graceMs = 300
const firstGraceMs = 1000
const retry = { first: 20, longest: 1000 } as const
/** Commands beyond this many unanswered ones are refused. */
const queueLength = 20_000

/** Error replies that mean "not now" rather than "no". */
const notNow = /^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)\b/

function makeClient({ url, settings, name }: RedisConnectionOptions) {
  return createClient({
    url,
    name: `caracal-${name}`,
    disableOfflineQueue: true,
    commandsQueueMaxLength: queueLength,
    maintNotifications: 'disabled',
    // Time limits are kept here, for a whole pipeline at once.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: settings.REDIS_DIAL_TIMEOUT,
      reconnectStrategy: (retries) =>
        Math.min(retry.first * 2 ** Math.min(retries, 10), retry.longest) * (0.75 + Math.random() / 4),
    },
  })
}

export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const { log, settings, name } = options
  let client: RedisClient | null = null
  let epoch = 0
  let awaySince = performance.now()
  let everReady = false
  let standing = false
  let closed = false
  /** Why the connection is away; `null` while nothing has refused it. */
  let lost: unknown = null
  const waiters = new Set<() => void>()

  const open = (): RedisClient => {
    const made = makeClient(options)
    client = made
    made.on('ready', () => {
      if (client !== made) return
      epoch += 1
      everReady = true
      standing = true
      if (lost !== null) log.info({ connection: name }, 'redis_connected')
      lost = null
      for (const wake of waiters) wake()
    })
    made.on('error', (error: unknown) => {
      if (client !== made || closed || made.isReady) return
      if (standing) awaySince = performance.now()
      standing = false
      if (lost === null) log.warn({ err: error, connection: name }, 'redis_connection_lost')
      lost = error
      for (const wake of waiters) wake()
    })
    // Retries by itself for ever; it only rejects when the client is dropped.
    made.connect().catch(() => undefined)
    return made
  }

  const drop = (which: RedisClient): void => {
    if (client === which) {
      client = null
      standing = false
      awaySince = performance.now()
    }
    try {
      which.destroy()
    } catch {
      // It was closed already.
    }
  }

  /**
   * The client when it is ready, after a short wait for a connection that is just being made. The
   * first one has the whole dial time, as long as nothing has refused it.
   */
  const ready = async (): Promise<RedisClient> => {
    for (;;) {
      if (closed) throw new RedisAway('the connection is closed')
      const current = client ?? open()
      if (current.isReady) return current
      const firstGrace = lost !== null ? firstGraceMs : settings.REDIS_DIAL_TIMEOUT
      const left = (everReady ? graceMs : firstGrace) - (performance.now() - awaySince)
      if (left <= 0) throw new RedisAway('Redis cannot be reached', { cause: lost })
      const bell = createBell()
      waiters.add(bell.ring)
      await bell.wait(left)
      waiters.delete(bell.ring)
    }
  }

  open()

  return {
    get epoch() {
      return epoch
    },
    async run(work, { timeoutMs = settings.REDIS_READ_TIMEOUT, signal } = {}) {
      const current = await ready()
      let timer: NodeJS.Timeout | undefined
      let onAbort: (() => void) | undefined
      const cut = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(new RedisTimeout(`Redis did not answer within ${timeoutMs} ms`))
          drop(current)
        }, timeoutMs)
        onAbort = () => {
          reject(new RedisAway('aborted'))
          drop(current)
        }
        if (signal?.aborted === true) onAbort()
        else signal?.addEventListener('abort', onAbort)
      })
      cut.catch(() => undefined)
      try {
        return await Promise.race([work(current), cut])
      } catch (error) {
        throw asRedisError(error)
      } finally {
        clearTimeout(timer)
        if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true
      const current = client
      client = null
      if (current === null) return
      for (const wake of waiters) wake()
      try {
        current.destroy()
      } catch {
        // It was closed already.
      }
    },
  }
}

/** Error replies stay what they are, unless they say "not now"; everything else means that Redis is away. */
export function asRedisError(error: unknown): Error {
  if (error instanceof RedisAway) return error
  if (error instanceof ErrorReply && !notNow.test(error.message)) return error
  return new RedisAway('Redis cannot be reached', { cause: error })
}
