/**
 * The replay memory on Postgres (storage-and-operations §7.4). The table is
 * unlogged: whatever empties it (crash recovery, promotion, TRUNCATE) takes the
 * sentinel `caracal:replay:birth` with it, so a memory that lost markers is seen
 * as newly born, and tokens not younger than it are refused. A dump keeps the
 * rows of one moment and would bring the sentinel back without the markers made
 * after it: the sentinel therefore names the transaction that wrote it (`counter`),
 * and where another one did (a restore), whoever starts first makes a new one.
 *
 * A claim is one statement that also reads the sentinel: 1 round trip, shared by
 * the claims of one tick.
 */
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { createCoalescer } from '../bus/coalesce.ts'
import type { Database } from '../db/port.ts'
import { birthKey, judge, leaveBirthSecond } from './birth.ts'
import type { ClaimOutcome, ReplayMemory } from './port.ts'
import { EphemeraUnavailable } from './port.ts'
import { askStore, wholeMs } from './postgres-ask.ts'

const maxBatch = 500
const seenKeys = 50_000

interface Claim {
  readonly key: string
  readonly value: string
  readonly ttlMs: number
}

interface Claimed {
  readonly won: boolean
  /** Read in the same snapshot as the claim; `null` when the sentinel is missing. */
  readonly birth: number | null
}

export function createPostgresReplay(db: Database, log: Logger): ReplayMemory {
  const { hot: sql } = db
  /**
   * Keys this process saw claimed. A hit saves the write of a replay; the sentinel
   * is still read, because after a loss the answer is another one.
   */
  const seen = new LRUCache<string, true>({ max: seenKeys })

  const claims = createCoalescer<Claim, Claimed>({
    maxItems: maxBatch,
    flush: async (calls) => {
      const first = new Map<string, Claim>()
      for (const call of calls) if (!first.has(call.key)) first.set(call.key, call)
      const keys = [...first.keys()]
      const values = [...first.values()].map((call) => call.value)
      const ttls = [...first.values()].map((call) => wholeMs(call.ttlMs))
      const [row] = await askStore(
        sql<{ keys: string[]; birth: string | null }[]>`
          with claimed as (
            insert into ephemera (key, value, expires_at)
            select k, v, now() + ttl * interval '1 millisecond'
            from unnest(${keys}::text[], ${values}::text[], ${ttls}::float8[]) as t(k, v, ttl)
            order by k
            on conflict (key) do update
            set value = excluded.value, counter = 0, expires_at = excluded.expires_at
            where ephemera.expires_at <= now()
            returning key
          )
          select coalesce((select array_agg(key) from claimed), '{}') as keys,
                 (select value from ephemera where key = ${birthKey}) as birth`,
      )
      if (row === undefined) throw new EphemeraUnavailable('replay claim was not answered')
      const won = new Set(row.keys)
      const birth = parseBirth(row.birth)
      return calls.map((call) => ({ won: first.get(call.key) === call && won.has(call.key), birth }))
    },
  })

  const births = createCoalescer<null, number | null>({
    maxItems: maxBatch,
    flush: async (calls) => {
      const [row] = await askStore(
        sql<{ birth: string | null }[]>`select value as birth from ephemera where key = ${birthKey}`,
      )
      const birth = parseBirth(row?.birth ?? null)
      return calls.map(() => birth)
    },
  })

  /** Stores the database clock as birth unless the memory has one of its own, and answers what is stored. */
  const bear = async (): Promise<{ birth: number; created: boolean }> => {
    const stored = await askStore(
      sql`
        insert into ephemera (key, value, counter, expires_at)
        select ${birthKey}, floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text,
               pg_current_xact_id()::text::bigint, null
        on conflict (key) do update
        set value = excluded.value, counter = excluded.counter
        where ephemera.counter % 4294967296 <> ephemera.xmin::text::bigint`,
    )
    const birth = await births.add(null)
    if (birth === null) throw new EphemeraUnavailable('the birth of the replay memory cannot be established')
    const created = stored.count > 0
    if (created) log.warn({ birth }, 'replay_memory_born')
    return { birth, created }
  }

  const settledBirth = async (read: number | null): Promise<number> => read ?? (await bear()).birth

  return {
    async claim(key, value, ttlMs, issuedAt): Promise<ClaimOutcome> {
      if (seen.has(key)) {
        const birth = await settledBirth(await births.add(null))
        return judge(false, issuedAt, birth)
      }
      const claimed = await claims.add({ key, value, ttlMs })
      const birth = await settledBirth(claimed.birth)
      seen.set(key, true, { ttl: wholeMs(ttlMs) })
      return judge(claimed.won, issuedAt, birth)
    },

    async remembers(issuedAt) {
      return issuedAt * 1000 > (await settledBirth(await births.add(null)))
    },

    inPassing: {
      mayBeFresh: (key) => !seen.has(key),
      made({ key, ttlMs }, outcome) {
        seen.set(key, true, { ttl: wholeMs(ttlMs) })
        // A memory that lost its birth gets another one from whoever asks for it; such a statement never does.
        if (outcome === 'predates_memory')
          births
            .add(null)
            .then(settledBirth)
            .catch(() => undefined)
      },
    },

    async establish(signal) {
      const { birth, created } = await bear()
      if (created) await leaveBirthSecond(db, birth, signal)
    },
  }
}

function parseBirth(text: string | null): number | null {
  if (text === null) return null
  const birth = Number(text)
  if (!Number.isSafeInteger(birth))
    throw new EphemeraUnavailable('the birth of the replay memory is unreadable')
  return birth
}
