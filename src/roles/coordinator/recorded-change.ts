/**
 * A change whose transaction carries its administrative record. Where the store refuses the record alone, the
 * change is made without it: the gate, which cannot write it either, then answers 500 `audit_unavailable` for
 * what was done (audit-and-events §8.1).
 */
import type { OpenRecord, RecordWithin } from '../../platform/admin-audit/gate.ts'
import type { Tx } from '../../platform/db/port.ts'
import type { CoordinatorDeps } from './deps.ts'

export async function recordedChange<T>(
  { db, outbox }: Pick<CoordinatorDeps, 'db' | 'outbox'>,
  record: RecordWithin,
  work: (tx: Tx, open: OpenRecord) => Promise<T>,
): Promise<T> {
  try {
    return await outbox.transaction(db, (tx) => work(tx, record.open))
  } catch (error) {
    if (!record.refused()) throw error
    return await outbox.transaction(db, (tx) => work(tx, async () => () => undefined))
  }
}
