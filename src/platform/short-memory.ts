/**
 * Remembers for at least `ms` and lets go of everything soon after, in two generations that are dropped whole:
 * no timer and no look at each entry. A cache that only ends entries when somebody asks for them again would
 * hold those that nobody asks for until it is full.
 */
export interface ShortMemory<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
}

/** At most `max` entries to a generation; more of them only shorten the time. */
export function createShortMemory<V>(options: { readonly max: number; readonly ms: number }): ShortMemory<V> {
  let young = new Map<string, V>()
  let old = new Map<string, V>()
  let bornAt = performance.now()

  const turn = (): void => {
    const age = performance.now() - bornAt
    if (age <= options.ms && young.size < options.max) return
    old = age > 2 * options.ms ? new Map() : young
    young = new Map()
    bornAt = performance.now()
  }

  return {
    get(key) {
      turn()
      return young.get(key) ?? old.get(key)
    },
    set(key, value) {
      turn()
      young.set(key, value)
    },
  }
}
