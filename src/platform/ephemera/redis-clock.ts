/** What Redis's clock shows, as each answer that carries its time tells; by the clock of this host until the first one. */
export interface RedisClock {
  /** Unix milliseconds, right to within a round trip. */
  now(): number
  /** Takes note of the time in an answer to what was asked at `askedAt` (of `performance.now`). */
  heard(time: number, askedAt: number): void
}

export function createRedisClock(): RedisClock {
  // Against the monotonic clock: a step of the host's own clock moves nothing.
  let offset = Date.now() - performance.now()
  return {
    now: () => performance.now() + offset,
    heard(time, askedAt) {
      offset = time - (askedAt + performance.now()) / 2
    },
  }
}
