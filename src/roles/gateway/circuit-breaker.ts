/**
 * Three exchanges in a row that end in `sts_unavailable` ≥ 500 open the circuit for
 * ten seconds (gateway §11). After that the next request tries; one more failure
 * opens it again at once. Only success resets the count.
 */
export interface CircuitBreaker {
  readonly open: boolean
  succeeded(): void
  /** Tells whether this failure opened the circuit. */
  failed(): boolean
}

const failuresToOpen = 3
const openMs = 10_000

export function createCircuitBreaker(now: () => number = () => performance.now()): CircuitBreaker {
  let failures = 0
  let openUntil = 0
  return {
    get open() {
      return now() < openUntil
    },
    succeeded() {
      failures = 0
      openUntil = 0
    },
    failed() {
      failures += 1
      if (failures < failuresToOpen) return false
      openUntil = now() + openMs
      return true
    },
  }
}
