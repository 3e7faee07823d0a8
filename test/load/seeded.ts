/** Chance that can be repeated: the same seed makes the same choices. */
export interface Seeded {
  /** In [0, 1). */
  next(): number
  between(low: number, high: number): number
  shuffled<T>(items: readonly T[]): T[]
}

/** Mulberry32: small, and good enough to choose faults by. */
export function seeded(seed: number): Seeded {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    shuffled(items) {
      const result = [...items]
      for (let last = result.length - 1; last > 0; last -= 1) {
        const other = Math.floor(next() * (last + 1))
        const kept = result[last] as (typeof result)[number]
        result[last] = result[other] as (typeof result)[number]
        result[other] = kept
      }
      return result
    },
  }
}
