/**
 * The last fallible step of a mint that needed an approval (sts §8.5): the hold is
 * spent and the authority record inserted in one transaction, or neither happens.
 * Locks: `delegation:<zone>` shared when the record rests on a delegation, then the
 * hold's row, then authority_records.
 */
import type { Database } from '../../../platform/db/port.ts'
import type { Hold } from '../approvals/hold.ts'
import { consumeHold } from './holds.ts'
import {
  type Issued,
  insertRecords,
  type LiveBasis,
  lockDelegationShared,
  type NewRecord,
} from './issue-records.ts'

class NotIssued extends Error {
  readonly outcome: Issued | 'already_consumed'
  constructor(outcome: Issued | 'already_consumed') {
    super(outcome)
    this.outcome = outcome
  }
}

export async function spendApproval(
  db: Database,
  hold: Hold,
  record: NewRecord,
  basis: LiveBasis | null,
): Promise<Issued | 'already_consumed'> {
  try {
    return await db.transaction(async (tx) => {
      if (basis !== null) await lockDelegationShared(tx, record.zoneId)
      if (!(await consumeHold(tx, hold, record.id))) throw new NotIssued('already_consumed')
      const [outcome] = await insertRecords(tx, [{ record, basis }])
      if (outcome !== 'inserted') throw new NotIssued(outcome ?? 'refused')
      return outcome
    })
  } catch (error) {
    if (error instanceof NotIssued) return error.outcome
    throw error
  }
}
