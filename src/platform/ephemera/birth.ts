/**
 * The clock of the replay memory's birth: always the database's, never the
 * host's (storage-and-operations §7.4).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../db/port.ts'
import { type ClaimOutcome, EphemeraUnavailable } from './port.ts'

export const birthKey = 'caracal:replay:birth'

/**
 * The rule: a claim passes when it was new and the token is younger than the memory. A token that
 * is not younger is called that even where its marker survived (a restart with append-only
 * persistence): after a loss nobody can say whether it was replayed, and none is reported as such.
 */
export function judge(claimed: boolean, issuedAt: number | null, birth: number): ClaimOutcome {
  if (issuedAt !== null && !(issuedAt * 1000 > birth)) return 'predates_memory'
  return claimed ? 'fresh' : 'replayed'
}

/** Unix milliseconds of the database clock. Rejects with `EphemeraUnavailable`. */
export async function databaseClock(db: Database): Promise<number> {
  try {
    const [row] = await db.sql<{ ms: string }[]>`
      select floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text as ms`
    const ms = Number(row?.ms)
    if (!Number.isSafeInteger(ms)) throw new Error('no database clock')
    return ms
  } catch (error) {
    throw new EphemeraUnavailable('the database clock cannot be read', { cause: error })
  }
}

/**
 * Waits until the database clock left the second of `birth`: tokens issued in it are refused, so
 * a process that created the memory listens afterwards. Rejects when `signal` aborts.
 */
export async function leaveBirthSecond(db: Database, birth: number, signal: AbortSignal): Promise<void> {
  const next = (Math.floor(birth / 1000) + 1) * 1000
  for (;;) {
    const now = await databaseClock(db)
    if (now >= next) return
    await sleep(Math.min(next - now + 1, 1000), undefined, { signal })
  }
}
