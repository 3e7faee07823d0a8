/** Background work of control (control-api §8). Each job runs in one process at a time, under its advisory lock. */
import type { Job } from '../../platform/jobs/job.ts'
import { singleRunner } from '../../platform/jobs/single-runner.ts'
import { deletePublished } from '../../platform/outbox/rows.ts'
import type { Control } from './control.ts'
import { notificationJob } from './deliver-notifications.ts'
import { archiveExpiredDcr } from './store/applications.ts'
import { expireAuthorityRecords } from './store/authority.ts'

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
    singleRunner({
      db,
      name: 'authority_record_reaper',
      intervalMs: 300_000,
      key: '7163920485318481',
      run: async (tx) => void (await expireAuthorityRecords(tx, BATCH)),
    }),
    singleRunner({
      db,
      name: 'outbox_retention',
      intervalMs: 15 * 60_000,
      key: 'control:outbox_retention',
      run: async (tx) => void (await deletePublished(tx, control.settings.OUTBOX_RETENTION_DAYS, BATCH)),
    }),
    notificationJob(control),
  ]
}
