/**
 * Administrative records of requests that finish together commit together: while one transaction
 * commits, the records of the next one gather. Every caller still waits for its own commit, and a
 * record that cannot be written takes no other one with it.
 *
 * Round trips of a group: locks and heads, insert; `begin` and `commit` travel along.
 */
import { appendAdminActions, openAdminRecord } from '../../platform/admin-audit/append.ts'
import type { AdminAudit } from '../../platform/admin-audit/gate.ts'
import type { AdminAction } from '../../platform/admin-audit/record.ts'
import type { CoordinatorDeps } from './deps.ts'

interface Waiting {
  readonly action: AdminAction
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** Most records of one transaction. */
const largestGroup = 64

export function groupRecords({ db, keys, log }: Pick<CoordinatorDeps, 'db' | 'keys' | 'log'>): AdminAudit {
  let waiting: Waiting[] = []
  let writing: Promise<void> | null = null

  const append = (actions: readonly AdminAction[]): Promise<void> =>
    db.transaction((tx) => appendAdminActions(tx, keys.audit, actions))

  async function write(group: readonly Waiting[]): Promise<void> {
    try {
      await append(group.map(({ action }) => action))
      for (const { done } of group) done()
    } catch (error) {
      const [only, ...others] = group
      if (others.length === 0) only?.failed(error)
      else for (const each of group) await write([each])
    }
  }

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.slice(0, largestGroup)
      waiting = waiting.slice(largestGroup)
      await write(group)
    }
    writing = null
  }

  const record = (action: AdminAction): Promise<void> =>
    new Promise((done, failed) => {
      waiting.push({ action, done, failed })
      writing ??= writeAll()
    })

  return {
    open: (tx, zoneId, onRefused) => openAdminRecord(tx, keys.audit, zoneId, onRefused),
    record,
    recordLater(action) {
      record(action).catch((error: unknown) => {
        log.warn({ err: error, request_id: action.requestId, action: action.action }, 'admin_audit_failed')
      })
    },
    async [Symbol.asyncDispose]() {
      await writing
    },
  }
}
