/**
 * Which starts and ends share a transaction: while a few transactions are under way, what is asked for
 * gathers, and goes together in the next one. A zone is in one of them at a time, with everything that waited
 * for it. Such a transaction waits for no lock, so that no zone delays another: what finds its zone busy, and
 * what would be long, is made again in a transaction of that zone alone.
 */
import { isSerializationFailure, isUnavailable } from '../../platform/db/unavailable.ts'
import {
  type Change,
  type ChangeDeps,
  changeSessions,
  type EndChange,
  type Outcome,
  TooMuchEnds,
  zoneOf,
} from './change-sessions.ts'
import type { StartChange, Started } from './start-session.ts'

export interface SessionChanges {
  /** Throws the refusals of coordinator §4.2. */
  start(change: StartChange): Promise<Started>
  /** Throws the refusals of coordinator §4.7. */
  end(change: EndChange): Promise<void>
}

interface Waiting {
  readonly change: Change
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

/** Transactions that wait for no lock, at a time. */
const mostUnderWay = 2
/** Changes of one of them. */
const mostTogether = 64

export function createSessionChanges(deps: ChangeDeps): SessionChanges {
  let waiting: Waiting[] = []
  const zonesUnderWay = new Set<string>()
  let underWay = 0
  let scheduled = false

  function schedule(): void {
    if (scheduled || underWay >= mostUnderWay || waiting.length === 0) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      send()
    })
  }

  function send(): void {
    if (underWay >= mostUnderWay) return
    const together = take()
    if (together.length === 0) return
    const zones = new Set(together.map(({ change }) => zoneOf(change)))
    for (const zone of zones) zonesUnderWay.add(zone)
    underWay += 1
    schedule()
    void makeTogether(together).then((left) => {
      underWay -= 1
      for (const zone of zones) {
        const lane = left.filter(({ change }) => zoneOf(change) === zone)
        if (lane.length === 0) zonesUnderWay.delete(zone)
        else void makeInLane(lane).then(() => free(zone))
      }
      schedule()
    })
  }

  function free(zone: string): void {
    zonesUnderWay.delete(zone)
    schedule()
  }

  /** The oldest of zones that are free; two under one key are not taken together, since its lock cannot part them. */
  function take(): Waiting[] {
    const together: Waiting[] = []
    const left: Waiting[] = []
    const keys = new Set<string>()
    for (const each of waiting) {
      const lock = each.change.kind === 'start' ? each.change.key?.lock : undefined
      const fits = together.length < mostTogether && !zonesUnderWay.has(zoneOf(each.change))
      if (!fits || (lock !== undefined && keys.has(lock))) {
        left.push(each)
        continue
      }
      if (lock !== undefined) keys.add(lock)
      together.push(each)
    }
    waiting = left
    return together
  }

  /** Answers what must be made again. */
  async function makeTogether(together: readonly Waiting[]): Promise<readonly Waiting[]> {
    try {
      const outcomes = await changeSessions(deps, changesOf(together), { waits: false, records: true })
      return tell(together, outcomes)
    } catch (error) {
      // A refusal of the store is one change's own.
      if (!isUnknown(error)) {
        if (!(error instanceof TooMuchEnds))
          deps.log.warn({ err: error, changes: together.length }, 'session_changes_parted')
        return together
      }
      for (const { reject } of together) reject(error)
      return []
    }
  }

  /** Changes of one zone, under locks that are waited for. */
  async function makeInLane(lane: readonly Waiting[]): Promise<void> {
    if (lane.length > 1) {
      try {
        tell(lane, await changeSessions(deps, changesOf(lane), { waits: true, records: true }))
        return
      } catch (error) {
        if (isUnknown(error)) {
          for (const { reject } of lane) reject(error)
          return
        }
      }
    }
    await Promise.all(lane.map(makeAlone))
  }

  /**
   * Where the store refuses the administrative record alone, the change is made without it: the gate, which
   * cannot write it either, then answers 500 `audit_unavailable` for what was done (audit-and-events §8.1).
   */
  async function makeAlone(one: Waiting): Promise<void> {
    const { change, reject } = one
    const make = async (records: boolean) =>
      void tell([one], await changeSessions(deps, [change], { waits: true, records }))
    try {
      await make(true).catch((error: unknown) => {
        if (!change.request.record.refused()) throw error
        return make(false)
      })
    } catch (error) {
      reject(error)
    }
  }

  const make = (change: Change): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      waiting.push({ change, resolve, reject })
      schedule()
    })

  return {
    async start(change) {
      const outcome = await make(change)
      if (outcome.kind === 'started') return outcome.answer
      throw failureOf(outcome)
    },
    async end(change) {
      const outcome = await make(change)
      if (outcome.kind !== 'ended') throw failureOf(outcome)
    },
  }
}

/** The store was lost: perhaps after it committed. */
const isUnknown = (error: unknown): boolean => isUnavailable(error) && !isSerializationFailure(error)

const changesOf = (waiting: readonly Waiting[]): Change[] => waiting.map(({ change }) => change)

/** Answers those that found their zone busy. */
function tell(waiting: readonly Waiting[], outcomes: readonly Outcome[]): readonly Waiting[] {
  return waiting.filter(({ resolve }, at) => {
    const outcome = outcomes[at]
    if (outcome === undefined || outcome.kind === 'busy') return true
    resolve(outcome)
    return false
  })
}

const failureOf = (outcome: Outcome): unknown =>
  outcome.kind === 'refused' ? outcome.error : new Error('a change of sessions was not made')
