/** Work that only one replica does: retention with the tamper sweep, and the archive (audit-and-events §15). */
import type { Logger } from 'pino'
import type { Database } from '../../platform/db/port.ts'
import type { Job, JobContext } from '../../platform/jobs/job.ts'
import { createLeaderLease, type LeaderLease } from '../../platform/jobs/single-runner.ts'

const exportLock = '4846245113962180657'
const retentionLock = '4846245113962180658'

export interface Leaders extends AsyncDisposable {
  readonly export: LeaderLease
  readonly retention: LeaderLease
  readonly jobs: readonly Job[]
}

export function createLeaders(db: Database, log: Logger): Leaders {
  const archive = createLeaderLease({ db, log, name: 'audit_export_lease', key: exportLock })
  const retention = createLeaderLease({ db, log, name: 'audit_retention_lease', key: retentionLock })
  return {
    export: archive,
    retention,
    jobs: [archive.job, retention.job],
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]()
      await retention[Symbol.asyncDispose]()
    },
  }
}

/** A job that does nothing on a replica that does not hold `lease`. */
export function ledBy(
  lease: LeaderLease,
  job: Omit<Job, 'run'> & { readonly run: (context: JobContext) => Promise<void> },
): Job {
  return {
    ...job,
    run: async (context) => {
      if (await lease.contend(context.log)) await job.run(context)
    },
  }
}
