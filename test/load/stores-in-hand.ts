/** Stores of a deployment that belong to none of its processes, and can be stopped and killed. */
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { EmbeddedPostgres } from '../../src/platform/embedded/port.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded/start.ts'
import { createOwnRedis } from './own-redis.ts'

/** A store as somebody with the machine in hand sees it. */
export interface StoreInHand {
  readonly name: 'postgres' | 'redis'
  pid(): number
  /** Ended in order, and not started again by anybody. `null`: its owner would start it again at once. */
  readonly stop: (() => Promise<void>) | null
  /** After `stop`. */
  start(): Promise<void>
  /** Ended from one moment to the next, and started again. */
  kill(): Promise<void>
}

export async function openRedis(undo: (step: () => unknown) => void, directory: string, port: number) {
  mkdirSync(directory)
  const redis = await createOwnRedis(directory, port)
  undo(() => redis[Symbol.asyncDispose]())
  const inHand: StoreInHand = {
    name: 'redis',
    pid: () => redis.pid,
    stop: () => redis.end('SIGTERM'),
    start: () => redis.start(),
    async kill() {
      await redis.end('SIGKILL')
      await redis.start()
    },
  }
  return { url: redis.url, inHand }
}

/** The binaries of the embedded store, reachable over TCP as a configured Postgres is. */
export async function openPostgres(dataDir: string, port: number) {
  const silent = pino({ level: 'silent' })
  let running: EmbeddedPostgres | null = null
  const start = async (): Promise<EmbeddedPostgres> => {
    const settings = { listen_addresses: '127.0.0.1', max_connections: '300' }
    running = await startEmbeddedPostgres({ dataDir, log: silent, port, settings })
    return running
  }
  const { connection } = await start()
  const { user, password, database } = connection
  const inHand: StoreInHand = {
    name: 'postgres',
    pid: () => running?.pid ?? 0,
    async stop() {
      await running?.[Symbol.asyncDispose]()
      running = null
    },
    async start() {
      await start()
    },
    async kill() {
      const before = running?.pid ?? 0
      process.kill(before, 'SIGKILL')
      // Its supervisor brings it back by itself.
      while (running?.pid === before || running?.pid === null) await sleep(10)
    },
  }
  return {
    inHand,
    url: `postgres://${user}:${password}@127.0.0.1:${port}/${database}`,
    login: { host: '127.0.0.1', port, user, password, database },
  }
}
