/**
 * Gathers the calls of one event-loop tick into one trip to the store, with a
 * bounded number of trips in flight. While the bound is reached calls pile up
 * and travel together: throughput grows with load, and the store sees a few
 * large statements instead of many small ones.
 */
export interface CoalesceOptions<T, R> {
  /** Answers one result per item, in order. A rejection rejects every item of the batch. */
  readonly flush: (items: readonly T[]) => Promise<readonly R[]>
  readonly maxItems: number
  /** How many of `maxItems` an item counts for; 1 unless told otherwise. An item is never split. */
  readonly weigh?: (item: T) => number
  /** Default 2: one batch is on the wire while the other commits. */
  readonly maxInFlight?: number
}

export interface Coalescer<T, R> {
  add(item: T): Promise<R>
  /** Settles when nothing is waiting or in flight. */
  idle(): Promise<void>
  /** Whether nothing is waiting or in flight. */
  readonly quiet: boolean
}

interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

export function createCoalescer<T, R>(options: CoalesceOptions<T, R>): Coalescer<T, R> {
  const maxInFlight = options.maxInFlight ?? 2
  let waiting: Waiting<T, R>[] = []
  let inFlight = 0
  let scheduled = false
  let idlers: (() => void)[] = []

  const quiet = (): boolean => inFlight === 0 && waiting.length === 0

  const schedule = (): void => {
    if (scheduled || waiting.length === 0 || inFlight >= maxInFlight) return
    scheduled = true
    setImmediate(send)
  }

  const send = (): void => {
    scheduled = false
    if (waiting.length === 0 || inFlight >= maxInFlight) return
    const taken = fitting()
    const batch = waiting.slice(0, taken)
    waiting = waiting.slice(taken)
    inFlight += 1
    schedule()
    void deliver(batch).finally(() => {
      inFlight -= 1
      schedule()
      if (quiet()) {
        const done = idlers
        idlers = []
        for (const resolve of done) resolve()
      }
    })
  }

  /** How many of the waiting travel together: as many as fit, one at least. */
  const fitting = (): number => {
    const { weigh, maxItems } = options
    if (weigh === undefined) return maxItems
    let weight = 0
    let taken = 0
    for (const { item } of waiting) {
      weight += weigh(item)
      if (weight > maxItems && taken > 0) break
      taken += 1
    }
    return taken
  }

  const deliver = async (batch: readonly Waiting<T, R>[]): Promise<void> => {
    try {
      const results = await options.flush(batch.map((entry) => entry.item))
      for (const [index, entry] of batch.entries()) entry.resolve(results[index] as R)
    } catch (error) {
      for (const entry of batch) entry.reject(error)
    }
  }

  return {
    add: (item) =>
      new Promise<R>((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        schedule()
      }),
    get quiet() {
      return quiet()
    },
    idle: () => (quiet() ? Promise.resolve() : new Promise<void>((resolve) => idlers.push(resolve))),
  }
}
