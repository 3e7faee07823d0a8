/** Background work of control (control-api §8). Each job runs in one process at a time, under its advisory lock. */
import type { Database } from '../../platform/db/port.ts'
import type { Job } from '../../platform/jobs/job.ts'
import { singleRunner, withXactTryLock } from '../../platform/jobs/single-runner.ts'
import { deletePublished } from '../../platform/outbox/rows.ts'
import type { Control } from './control.ts'
import { notificationJob } from './deliver-notifications.ts'
import { archiveExpiredDcr } from './store/applications.ts'
import { expireAuthorityRecords } from './store/authority.ts'
import { deleteEndedSessions } from './store/console-sessions.ts'

const BATCH = 500

export function controlJobs(control: Control): readonly Job[] {
  const { db } = control
  return [
    singleRunner({
      db,
      name: 'dcr_archive',
      intervalMs: 60_000,
      key: '7163920485318472',
      run: async (tx) => void (await archiveExpiredDcr(tx, BATCH)),
    }),
    recordReaper(db),
    singleRunner({
      db,
      name: 'outbox_retention',
      intervalMs: 15 * 60_000,
      key: 'control:outbox_retention',
      run: async (tx) => void (await deletePublished(tx, control.settings.OUTBOX_RETENTION_DAYS, BATCH)),
    }),
    singleRunner({
      db,
      name: 'console_session_retention',
      intervalMs: 15 * 60_000,
      key: 'control:console_session_retention',
      run: async (tx) => void (await deleteEndedSessions(tx, BATCH)),
    }),
    notificationJob(control),
  ]
}

/**
 * Batch after batch, each in a transaction of its own, until nothing is left: a record that is past its time and
 * still called active costs every reader of what is active.
 */
function recordReaper(db: Database): Job {
  return {
    name: 'authority_record_reaper',
    intervalMs: 300_000,
    run: async ({ signal }) => {
      for (let full = true; full && !signal.aborted; ) {
        full = await db.transaction(
          async (tx) =>
            (await withXactTryLock(tx, '7163920485318481')) &&
            (await expireAuthorityRecords(tx, BATCH)) >= BATCH,
        )
      }
    },
  }
}
