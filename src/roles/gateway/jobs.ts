/** Background work of the gateway (storage-and-operations §15). */
import type { Job } from '../../platform/jobs/job.ts'
import type { AuditSink } from '../audit/index.ts'
import type { Pools } from './proxy/pools.ts'
import type { RevocationSet } from './revocations/set.ts'
import { type Snapshot, snapshotIntervalMs } from './revocations/snapshot.ts'

export interface JobDeps {
  readonly snapshot: Snapshot
  readonly revocations: RevocationSet
  readonly audit: AuditSink
  readonly pools: Pools
}

const pruneIntervalMs = 30 * 60 * 1000
const drainIntervalMs = 15_000
const trimIntervalMs = 10_000

export function createJobs({ snapshot, revocations, audit, pools }: JobDeps): readonly Job[] {
  return [
    { name: 'gateway_revocation_snapshot', intervalMs: snapshotIntervalMs, run: () => snapshot.load() },
    {
      name: 'gateway_revocation_prune',
      intervalMs: pruneIntervalMs,
      run: async () => revocations.prune(),
    },
    { name: 'gateway_pool_trim', intervalMs: trimIntervalMs, run: async () => pools.trim() },
    { name: 'gateway_audit_drain', intervalMs: drainIntervalMs, run: ({ log }) => audit.drainJournal(log) },
  ]
}
