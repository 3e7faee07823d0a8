/**
 * Holds of this process: raise one, look one up, wait for a decision. What a request
 * must look like to use one is decided by its checks (`checks/present-approval.ts`,
 * `checks/hold-for-approval.ts`).
 */

import { randomUUID } from 'node:crypto'
import type { Database } from '../../../platform/db/port.ts'
import { uuidPattern } from '../../../platform/ids.ts'
import { internalError } from '../refusal.ts'
import { deleteExpiredHold, type HoldRequest, insertHold, readHold, readOpenHold } from '../store/holds.ts'
import type { Hold } from './hold.ts'
import type { HoldTerms } from './merge-gates.ts'

export interface Approvals {
  find(id: string): Promise<Hold | null>
  /** The one open hold of this request; `created` when it did not exist before. */
  ensure(request: HoldRequest, terms: HoldTerms): Promise<{ readonly hold: Hold; readonly created: boolean }>
}

export function isHoldId(text: string): boolean {
  return uuidPattern.test(text)
}

export function createApprovals(db: Database): Approvals {
  return {
    find: async (id) => (isHoldId(id) ? readHold(db, id.toLowerCase()) : null),

    ensure: (request, terms) =>
      db.transaction(async (tx) => {
        await deleteExpiredHold(tx, request)
        // Somebody may raise the same hold, or spend it, between two statements.
        for (let attempt = 0; attempt < 3; attempt++) {
          const created = await insertHold(tx, randomUUID(), request, terms)
          if (created !== null) return { hold: created, created: true }
          const open = await readOpenHold(tx, request)
          if (open !== null) return { hold: open, created: false }
        }
        throw internalError('hold can neither be raised nor found')
      }),
  }
}
