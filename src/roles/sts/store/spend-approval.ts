/**
 * The last fallible step of a mint that needed an approval (sts §8.5): the hold is
 * spent and the authority record inserted in one transaction, or neither happens.
 * Locks: `delegation:<zone>` shared when the record rests on a delegation, then the
 * hold's row, then authority_records.
 */

import type { Database, Tx } from '../../../platform/db/port.ts'
import { lockGraphShared } from '../../../platform/db/zone-locks.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import type { Hold } from '../approvals/hold.ts'
import { consumeHold } from './holds.ts'
import { type Issued, insertRecords, type LiveBasis, type NewRecord } from './issue-records.ts'

type Outcome = Issued | 'already_consumed'

class Undone extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super(outcome)
    this.outcome = outcome
  }
}

export function spendApproval(
  db: Database,
  hold: Hold,
  record: NewRecord,
  basis: LiveBasis | null,
): Promise<Outcome> {
  return undoable(db, async (tx) => {
    if (basis !== null) await lockGraphShared(tx.sql, record.zoneId)
    if (!(await consumeHold(tx, hold, record.id))) throw new Undone('already_consumed')
    const outcome = await insertOne(tx, record, basis)
    if (outcome !== 'inserted') throw new Undone(outcome)
    return outcome
  })
}

/**
 * A mandate that is issued again finds both done (sts §8.4), and must rest on what lives all the same: its record,
 * and its basis under the lock (sts §4.6). An insert judges that, and is undone whatever it says.
 */
export function judgeReissue(db: Database, record: NewRecord, basis: LiveBasis | null): Promise<Outcome> {
  const reissued: LiveBasis = {
    records: [record.id, ...(basis?.records ?? [])],
    edges: basis?.edges ?? [],
    sessions: basis?.sessions ?? [],
  }
  return undoable(db, async (tx) => {
    await lockGraphShared(tx.sql, record.zoneId)
    throw new Undone(await insertOne(tx, { ...record, id: uuidv7() }, reissued))
  })
}

async function insertOne(tx: Tx, record: NewRecord, basis: LiveBasis | null): Promise<Issued> {
  const [outcome] = await insertRecords(tx, [{ record, basis }])
  return outcome ?? 'refused'
}

async function undoable(db: Database, work: (tx: Tx) => Promise<Outcome>): Promise<Outcome> {
  try {
    return await db.transaction(work)
  } catch (error) {
    if (error instanceof Undone) return error.outcome
    throw error
  }
}
