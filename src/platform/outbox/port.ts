/**
 * The transactional outbox (audit-and-events §10): an event row commits with the
 * change it tells of, a dispatcher publishes it afterwards.
 */
import type { Database, TransactionOptions, Tx } from '../db/port.ts'

export type Producer = 'control' | 'coordinator' | 'sts' | 'gateway' | 'audit' | 'execution'

export interface OutboxEvent {
  readonly topic: string
  /** Absent: the row's own id. Repeatable transitions must include an occurrence (audit-and-events §10.1). */
  readonly dedupeKey?: string
  /** Flattened to strings at publish; null and undefined are skipped; `outbox_id`, `dedupe_key`, `_sig` are reserved. */
  readonly payload: Readonly<Record<string, unknown>>
  readonly requestId?: string
}

export interface Outbox {
  /**
   * As `transaction` of the producer's database. What it enqueues is published by its own commit where the bus is
   * in the same database, and by the dispatcher after it everywhere else.
   */
  transaction<T>(
    db: Database,
    work: (tx: Tx) => Promise<T>,
    options?: Omit<TransactionOptions, 'publishes'>,
  ): Promise<T>
  /**
   * Inserts the rows inside the caller's transaction and wakes the dispatcher when it commits.
   * Answers the row ids in the order of `events`; an event whose dedupe key exists already is
   * not inserted again and its id leads nowhere.
   */
  enqueue(tx: Tx, producer: Producer, events: readonly OutboxEvent[]): Promise<readonly string[]>
}
