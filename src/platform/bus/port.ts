/**
 * The event bus: named streams of flat string maps, kept in Redis Streams or in
 * Postgres. Delivery is at least once; order is kept per stream as far as one
 * publisher can tell. Consumers dedupe and are order-insensitive
 * (audit-and-events §9–§11, storage-and-operations §7.5).
 *
 * The port moves entries and knows nothing of their meaning. Signatures,
 * poison counting and dead letters are built on it in `consume.ts`, the same
 * for both drivers.
 */
import type { Database } from '../db/port.ts'
import type { Rides } from './rides.ts'

export type Fields = Readonly<Record<string, string>>

export interface OutgoingEntry {
  readonly stream: string
  readonly fields: Fields
  /** Approximate maximum length of the stream after this entry; absent = never trimmed by publishing (audit streams). */
  readonly maxLength?: number
}

/** What became of one entry of a batch. `rejected` = the store answered with an error; `unavailable` = it could not be asked. */
export type Published =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly reason: 'rejected' | 'unavailable'; readonly message: string }

export interface StreamEntry {
  /**
   * `<a>-<b>`, two non-negative integers, ordered within its stream by `a`, then `b`. Only under
   * Redis is `a` a time in milliseconds.
   */
  readonly id: string
  readonly stream: string
  readonly fields: Fields
}

export interface ClaimedEntry extends StreamEntry {
  /** How often the entry was handed out, this time included. */
  readonly deliveries: number
}

export interface GroupStats {
  /** Delivered and not acknowledged. */
  readonly pending: number
  /** Not delivered yet. */
  readonly undelivered: number
  /** Idle time of the oldest pending entry in milliseconds, 0 without one. */
  readonly oldestPendingMs: number
  /** The lowest pending entry; `null` without one. What is below it and below `lastDeliveredId` may be trimmed. */
  readonly oldestPendingId: string | null
  /** `0-0` before the first delivery of a group that began at the start. */
  readonly lastDeliveredId: string
}

/** Thrown when the store behind the bus cannot be reached. */
export class BusUnavailable extends Error {
  override readonly name = 'BusUnavailable'
}

/** Thrown when a group (or its stream) vanished, as after a flush of Redis; the caller recreates it and reloads. */
export class GroupLost extends Error {
  override readonly name = 'GroupLost'
}

/** One work group of one stream: every entry goes to one of its consumers. */
export interface WorkGroup {
  /** Creates stream and group if they do not exist. `start` sees what is there already. */
  ensure(from: 'start' | 'end'): Promise<void>
  /**
   * New entries for `consumer`; waits up to `blockMs` for the first. Resolves empty on time-out or abort; and at
   * once when the store may have forgotten the last acknowledgements, so that own entries are pending again.
   */
  read(options: {
    readonly consumer: string
    readonly count: number
    readonly blockMs: number
    readonly signal: AbortSignal
  }): Promise<ClaimedEntry[]>
  /**
   * Takes over entries that any consumer, or only `from`, holds for `minIdleMs` or longer; with `minIdleMs` 0 and
   * itself as `from` a consumer reads its own again.
   */
  reclaim(options: {
    readonly consumer: string
    readonly minIdleMs: number
    readonly count: number
    readonly from?: string
  }): Promise<ClaimedEntry[]>
  ack(ids: readonly string[]): Promise<void>
  stats(): Promise<GroupStats>
  /** Names of the consumers that hold entries. */
  holders(): Promise<string[]>
  /**
   * Forgets consumers that asked for nothing for `minIdleMs` and hold nothing, and answers how many:
   * names of processes change with every start.
   */
  forgetConsumers(minIdleMs: number): Promise<number>
  /** Forgets the group and what was pending in it; one that is not there is fine. A reader of it finds `GroupLost`. */
  destroy(): Promise<void>
}

/** A running broadcast reader. Disposing it ends the read and releases its connection. */
export interface Tail extends AsyncDisposable {
  /** Settles when the reader is positioned: what is published from now on will be seen. */
  readonly positioned: Promise<void>
}

export interface TailOptions {
  readonly streams: readonly string[]
  /** `end`: only what comes after the call (the position is taken before the promise resolves). */
  readonly from: 'start' | 'end'
  /** Called in order, never concurrently with itself. A rejection is logged and the entries are not seen again. */
  readonly onEntries: (entries: readonly StreamEntry[]) => Promise<void> | void
  /** Entries may have been missed (reconnect to an empty store, trimmed past the cursor): reload from Postgres. */
  readonly onGap: () => Promise<void> | void
}

/**
 * For statements that carry entries into the bus in their own transaction, by the SQL of the driver's
 * migrations, where bus and store are one database.
 */
export interface StoreBus {
  readonly database: Database
  /** Called when the statement is about to be sent: the streams it must notify about. */
  announce(streams: readonly string[]): readonly string[]
  /** Called when it has committed: wakes the readers of this process. */
  committed(streams: readonly string[]): void
  /**
   * Called instead of both when a whole transaction that inserted `entries` has committed: wakes the readers of
   * every process. Such a transaction is opened with `publishes`.
   */
  written(entries: readonly OutgoingEntry[]): void
  /** What waits for such a statement to take it along. */
  readonly rides: Rides
}

export interface Bus extends AsyncDisposable {
  readonly driver: 'redis' | 'postgres'
  /** Absent where the bus is not in the store. */
  readonly store?: StoreBus
  /** Publishes a batch in one trip; the answer has one element for each entry, in order. Never rejects for one bad entry. */
  publish(entries: readonly OutgoingEntry[]): Promise<Published[]>
  /** Rejects with `BusUnavailable` when the store cannot be reached within a second. */
  ping(): Promise<void>
  /** Broadcast: every process that tails sees every entry. */
  tail(options: TailOptions): Promise<Tail>
  group(stream: string, group: string): WorkGroup
  /** Names of the groups of a stream. */
  groups(stream: string): Promise<string[]>
  length(stream: string): Promise<number>
  /** Entries from `start` (inclusive; `(id` exclusive; `-` first) in order. */
  range(stream: string, start: string, count: number): Promise<StreamEntry[]>
  remove(stream: string, ids: readonly string[]): Promise<number>
  /** Removes what is older than the newest `maxLength` entries, or everything below `minId`. */
  trim(stream: string, bound: { readonly maxLength: number } | { readonly minId: string }): Promise<void>
}
