/**
 * How many calls may be at one upstream at a time. Whoever comes later waits in line,
 * for a bounded time and in a bounded line: streams may hold every connection for hours,
 * and a call that waits for one must end as an answer.
 */

export type Turn = 'entered' | 'full' | 'timeout' | 'aborted'

export interface Turnstile {
  /** At once where there is room. Whoever entered must leave. */
  enter(signal: AbortSignal, patienceMs: number): Turn | Promise<Turn>
  leave(): void
  readonly inside: number
  readonly waiting: number
}

export function createTurnstile(room: number, longestLine: number): Turnstile {
  const line = new Set<(turn: Turn) => void>()
  let inside = 0
  return {
    enter(signal, patienceMs) {
      if (inside < room && line.size === 0) {
        inside += 1
        return 'entered'
      }
      if (signal.aborted) return 'aborted'
      if (line.size >= longestLine) return 'full'
      return new Promise((resolve) => {
        const settle = (turn: Turn): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', aborted)
          line.delete(settle)
          resolve(turn)
        }
        const aborted = (): void => settle('aborted')
        const timer = setTimeout(() => settle('timeout'), patienceMs)
        signal.addEventListener('abort', aborted, { once: true })
        line.add(settle)
      })
    },
    leave() {
      const [next] = line
      // The place is handed over, so that nobody slips in between.
      if (next === undefined) inside -= 1
      else next('entered')
    },
    get inside() {
      return inside
    },
    get waiting() {
      return line.size
    },
  }
}
