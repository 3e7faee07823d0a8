/** Background work of control (control-api §8). Each job runs in one process at a time, under its advisory lock. */
import type { Database, Tx } from '../../platform/db/port.ts'
import type { Job } from '../../platform/jobs/job.ts'
import { singleRunner } from '../../platform/jobs/single-runner.ts'
import { deletePublished } from '../../platform/outbox/rows.ts'
import type { Control } from './control.ts'
import { notificationJob } from './deliver-notifications.ts'
import { archiveExpiredDcr } from './store/applications.ts'
import { deleteEndedRecords, expireAuthorityRecords } from './store/authority.ts'
import { deleteEndedSessions } from './store/console-sessions.ts'
import { deleteSettled } from './store/sinks.ts'

const BATCH = 500

export function controlJobs(control: Control): readonly Job[] {
  const { db, settings } = control
  return [
    sweep(db, 'dcr_archive', 60_000, '7163920485318472', archiveExpiredDcr),
    // A record that is past its time and still called active costs every reader of what is active.
    sweep(db, 'authority_record_reaper', 300_000, '7163920485318481', expireAuthorityRecords),
    sweep(db, 'authority_record_retention', 15 * 60_000, 'control:authority_record_retention', (tx, limit) =>
      deleteEndedRecords(tx, settings.AUTHORITY_RECORD_RETENTION_DAYS, limit),
    ),
    sweep(db, 'outbox_retention', 15 * 60_000, 'control:outbox_retention', (tx, limit) =>
      deletePublished(tx, settings.OUTBOX_RETENTION_DAYS, limit),
    ),
    sweep(
      db,
      'console_session_retention',
      15 * 60_000,
      'control:console_session_retention',
      deleteEndedSessions,
    ),
    sweep(db, 'delivery_retention', 60_000, 'control:delivery_retention', deleteSettled),
    notificationJob(control),
  ]
}

/** Batch after batch until one is not full; `batch` answers how many rows it took. */
function sweep(
  db: Database,
  name: string,
  intervalMs: number,
  key: string,
  batch: (tx: Tx, limit: number) => Promise<number>,
): Job {
  return singleRunner({ db, name, intervalMs, key, run: async (tx) => (await batch(tx, BATCH)) >= BATCH })
}
