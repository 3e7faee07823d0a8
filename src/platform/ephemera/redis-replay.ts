/**
 * The replay memory on Redis (storage-and-operations §7.4). The sentinel
 * `caracal:replay:birth` is `<run_id> <ms>`: missing after a flush or a restart
 * without persistence, foreign after any restart or failover, because append-only
 * persistence may have lost its last second. Either way the memory is born anew,
 * dated by the clock of the database.
 *
 * A claim is one pipeline, SET NX PX then GET of the sentinel: 1 round trip. The
 * sentinel is read after the claim, never before it.
 */
import type { Logger } from 'pino'
import type { RedisClient, RedisConnection } from '../bus/redis-connection.ts'
import type { Database } from '../db/port.ts'
import { birthKey, databaseClock, judge, leaveBirthSecond } from './birth.ts'
import type { ClaimOutcome, ReplayMemory } from './port.ts'
import { EphemeraUnavailable } from './port.ts'
import { askRedis, wholeMs } from './redis-ask.ts'
import { bearOrAdopt, evaluate } from './redis-scripts.ts'

/** What one connection knows about the server behind it. */
interface Server {
  readonly epoch: number
  /** `null`: the server does not tell. */
  readonly runId: string | null
  /** Where the identity is unreadable: nothing older than this connection can be vouched for. */
  readonly since: number
}

/** Stands for the server's identity where it cannot be read; no run id looks like it. */
const unknownRunId = '?'

export function createRedisReplay(connection: RedisConnection, db: Database, log: Logger): ReplayMemory {
  let server: Server | null = null
  let identifying: Promise<Server> | null = null

  const readRunId = async (client: RedisClient): Promise<string | null> => {
    try {
      return /^run_id:([0-9a-zA-Z]+)\s*$/m.exec(await client.info('server'))?.[1] ?? null
    } catch (error) {
      // Not permitted, or not known: an answer all the same. A connection that broke is not.
      if (error instanceof Error && /^(NOPERM|ERR)\b/.test(error.message)) return null
      throw error
    }
  }

  /** Reads who the server is, once for every connection and before the first claim on it. */
  const identify = (): Promise<Server> => {
    identifying ??= (async () => {
      for (;;) {
        const { runId, epoch } = await askRedis(connection, async (client) => {
          const before = connection.epoch
          return { runId: await readRunId(client), epoch: before }
        })
        const since = runId === null ? await databaseClock(db) : 0
        if (epoch === connection.epoch) {
          server = { epoch, runId, since }
          if (runId === null) log.warn('replay_memory_server_unidentified')
          return server
        }
      }
    })().finally(() => {
      identifying = null
    })
    return identifying
  }

  const currentServer = async (): Promise<Server> =>
    server?.epoch === connection.epoch ? server : await identify()

  /** Runs commands while `known` is the server; `null` when the connection was replaced meanwhile and nothing was sent. */
  const onServer = <T>(
    known: Server,
    work: (client: RedisClient) => Promise<T>,
  ): Promise<{ readonly result: T } | null> =>
    askRedis(connection, async (client) =>
      known.epoch === connection.epoch ? { result: await work(client) } : null,
    )

  const onKnownServer = async <T>(
    work: (client: RedisClient) => Promise<T>,
  ): Promise<{ readonly result: T; readonly known: Server }> => {
    for (;;) {
      const known = await currentServer()
      const answer = await onServer(known, work)
      if (answer !== null) return { result: answer.result, known }
    }
  }

  /** Milliseconds of a sentinel this server wrote; `null` when it is missing or foreign. */
  const parseSentinel = (text: string | null, known: Server): number | null => {
    const match = text === null ? null : /^(\S+) (\d+)$/.exec(text)
    if (match === null || match[1] !== (known.runId ?? unknownRunId)) return null
    return Math.max(Number(match[2]), known.since)
  }

  /** Stores the database clock as birth unless this server has one, and answers what is stored. */
  const bear = async (): Promise<{ birth: number; created: boolean }> => {
    for (;;) {
      const known = await currentServer()
      // Read after the server is known: a clock read before it restarted would date the birth too early.
      const now = await databaseClock(db)
      const runId = known.runId ?? unknownRunId
      const stored = await onServer(
        known,
        async (client) => (await evaluate(client, bearOrAdopt, [birthKey], [runId, String(now)])) as string,
      )
      if (stored === null) continue
      const birth = parseSentinel(stored.result, known)
      if (birth === null)
        throw new EphemeraUnavailable('the birth of the replay memory cannot be established')
      const created = stored.result === `${runId} ${now}`
      if (created) log.warn({ birth }, 'replay_memory_born')
      return { birth, created }
    }
  }

  const settledBirth = async (read: number | null): Promise<number> => read ?? (await bear()).birth

  const readBirth = async (): Promise<number | null> => {
    const { result, known } = await onKnownServer((client) => client.get(birthKey))
    return parseSentinel(result, known)
  }

  return {
    async claim(key, value, ttlMs, issuedAt): Promise<ClaimOutcome> {
      const { result, known } = await onKnownServer((client) =>
        Promise.all([
          client.set(key, value, { condition: 'NX', expiration: { type: 'PX', value: wholeMs(ttlMs) } }),
          client.get(birthKey),
        ]),
      )
      const [claimed, sentinel] = result
      const birth = await settledBirth(parseSentinel(sentinel, known))
      return judge(claimed === 'OK', issuedAt, birth)
    },

    async remembers(issuedAt) {
      return issuedAt * 1000 > (await settledBirth(await readBirth()))
    },

    async establish(signal) {
      const read = await readBirth()
      const { birth, created } = read === null ? await bear() : { birth: read, created: false }
      // A birth dated by this connection is as good as one it created.
      if (created || server?.runId === null) await leaveBirthSecond(db, birth, signal)
    },
  }
}
