/**
 * Proofs by password, bounded for each name: after five failures in a row it is closed for fifteen minutes from the
 * fifth, whatever address they came from. An attempt is charged before the password is looked at, so that guesses
 * made at once get no further than others, and a success gives back what was charged. Attempts on one name wait
 * for one another, so that those who know the password do not meet each other's charges.
 */
import { EphemeraUnavailable } from '../../platform/ephemera/port.ts'
import { overLimit } from './authenticate.ts'
import type { ControlPlatform } from './control.ts'

const FAILURES = 5
const CLOSED_MS = 15 * 60_000
/** For how long failures that closed nothing are counted. */
const REMEMBER_MS = 3600_000

export interface Guesses {
  /** What `prove` answers, `null` being a failure. Throws 429 after five of those, and when nobody can count. */
  attempt<T>(name: string, prove: () => Promise<T | null>): Promise<T | null>
  /** The name has proved itself in another way. */
  forgive(name: string): Promise<void>
}

/** `what` tells the counters of one kind of name from those of another. */
export function createGuesses(
  { ephemera, log }: Pick<ControlPlatform, 'ephemera' | 'log'>,
  what: string,
): Guesses {
  const inTurn = createTurns()
  const chargesOf = (name: string) => `api:${what}_fail:${name}`
  const closureOf = (name: string) => `api:${what}_closed:${name}`

  /**
   * Throws 429. The closure is looked for after the charge: it is written before the charges are forgotten, so
   * that one of the two always tells.
   */
  async function charge(name: string): Promise<number> {
    const { count } = await ephemera.increment(chargesOf(name), REMEMBER_MS)
    if (count <= FAILURES && (await ephemera.get(closureOf(name))) === null) return count
    await giveBack(name)
    throw overLimit(CLOSED_MS)
  }

  /** Never into a credit, where the charges were forgotten in between. */
  async function giveBack(name: string): Promise<void> {
    const { count } = await ephemera.increment(chargesOf(name), REMEMBER_MS, -1)
    if (count < 0) await ephemera.delete(chargesOf(name))
  }

  async function close(name: string): Promise<void> {
    await ephemera.set(closureOf(name), '1', CLOSED_MS)
    await ephemera.delete(chargesOf(name))
  }

  async function attempt<T>(name: string, prove: () => Promise<T | null>): Promise<T | null> {
    const count = await charge(name).catch((error: unknown) => {
      if (!(error instanceof EphemeraUnavailable)) throw error
      log.warn({ err: error }, 'login_limit_unavailable')
      throw overLimit(CLOSED_MS)
    })
    const proved = await prove().catch(async (error: unknown) => {
      await giveBack(name)
      throw error
    })
    if (proved !== null) await ephemera.delete(chargesOf(name))
    else if (count === FAILURES) await close(name)
    return proved
  }

  return {
    attempt: (name, prove) => inTurn(name, () => attempt(name, prove)),
    async forgive(name) {
      await ephemera.delete(chargesOf(name))
      await ephemera.delete(closureOf(name))
    },
  }
}

/** Runs work under one name after what came before it. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>()
  return <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(name) ?? Promise.resolve()).then(work)
    const over = turn
      .catch(() => undefined)
      .then(() => {
        if (last.get(name) === over) last.delete(name)
      })
    last.set(name, over)
    return turn
  }
}
