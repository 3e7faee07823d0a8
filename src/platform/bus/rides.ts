/**
 * Entries that may wait a moment and travel with a statement that is sent anyhow, where bus and store are one
 * database: a publish of their own would be one more commit.
 */
import type { OutgoingEntry } from './port.ts'

/** A batch that is under way. */
export interface Ride {
  readonly entries: readonly OutgoingEntry[]
  /** Called once: whether the statement has committed them. What has not arrived its owner publishes. */
  settle(arrived: boolean): void
}

export interface Rides {
  /** `waiting` is asked for at most `max` entries when a statement has room for them; the answer withdraws the offer. */
  offer(waiting: (max: number) => Ride | null): () => void
  /** For a statement that is about to be sent: each of them must be told what became of it. */
  take(max: number): Ride[]
}

export function createRides(): Rides {
  const offers = new Set<(max: number) => Ride | null>()
  return {
    offer(waiting) {
      offers.add(waiting)
      return () => offers.delete(waiting)
    },
    take(max) {
      const taken: Ride[] = []
      let room = max
      for (const waiting of offers) {
        if (room <= 0) break
        const ride = waiting(room)
        if (ride === null) continue
        room -= ride.entries.length
        taken.push(ride)
      }
      return taken
    },
  }
}
