/** Background work of this role (storage-and-operations §15). */
import type { Database } from '../../platform/db/port.ts'
import type { Job } from '../../platform/jobs/job.ts'
import type { AuditSink } from '../audit/index.ts'
import type { MintLimit } from './mint-limit.ts'
import type { PolicyBundles } from './policy-bundles.ts'
import { sweepHolds } from './store/holds.ts'
import { readMintLimit } from './store/mint-limit.ts'

const sweepBatch = 500

export interface StsJobDeps {
  readonly db: Database
  readonly audit: AuditSink
  readonly bundles: PolicyBundles
  readonly mintLimit: MintLimit
  readonly policyPollMs: number
}

export function stsJobs(deps: StsJobDeps): Job[] {
  return [
    { name: 'policy_poll', intervalMs: deps.policyPollMs, run: ({ log }) => deps.bundles.refresh(log) },
    {
      name: 'mint_limit_refresh',
      intervalMs: 30_000,
      immediate: true,
      run: async () => deps.mintLimit.override(await readMintLimit(deps.db)),
    },
    {
      name: 'approval_sweep',
      intervalMs: 60 * 60_000,
      async run({ signal }) {
        while (!signal.aborted && (await sweepHolds(deps.db, sweepBatch)) === sweepBatch);
      },
    },
    { name: 'audit_replay_drain', intervalMs: 15_000, run: ({ log }) => deps.audit.drainJournal(log) },
  ]
}
