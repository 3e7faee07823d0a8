/**
 * How soon a store that went away is asked again. One schedule for all connections of a pool: what
 * the first of them learns, the others need not try, and a store that is starting up is not kept
 * from it by hundreds of log-ins a second.
 */
export interface Outage {
  /** A connection ended, or was never made. */
  lost(): void
  /** The store answered. */
  answered(): void
  /** Milliseconds until the next attempt may be made; 0 = now. */
  waitMs(): number
}

const firstPauseMs = 20
const longestPauseMs = 500
/** What happened longer ago than this was another outage. */
const forgottenAfterMs = 5000

/** Pauses double from 20 ms to half a second, jittered downwards. */
export function createOutage(now: () => number = () => performance.now()): Outage {
  let failures = 0
  let notBefore = Number.NEGATIVE_INFINITY
  return {
    lost() {
      // Connections that end together are one failure.
      if (now() < notBefore) return
      if (now() - notBefore > forgottenAfterMs) failures = 0
      const pause = Math.min(firstPauseMs * 2 ** failures, longestPauseMs)
      failures += 1
      notBefore = now() + pause * (0.5 + Math.random() / 2)
    },
    answered() {
      failures = 0
      notBefore = Number.NEGATIVE_INFINITY
    },
    waitMs: () => Math.max(0, notBefore - now()),
  }
}
