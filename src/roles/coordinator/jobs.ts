/**
 * Background workers (coordinator §11). One replica at a time does a sweep; a transaction covers
 * one zone, so that nobody waits for the locks of zones that are swept before theirs.
 */

import type { Tx } from '../../platform/db/port.ts'
import { lockAuthority, lockGraph, lockSpawn } from '../../platform/db/zone-locks.ts'
import { uuidv4 } from '../../platform/ids.ts'
import type { Job } from '../../platform/jobs/job.ts'
import { singleRunner, withXactTryLock } from '../../platform/jobs/single-runner.ts'
import { deletePublished } from '../../platform/outbox/rows.ts'
import type { CoordinatorContext } from './deps.ts'
import { endSessions } from './end-sessions.ts'
import { edgesExpired, invocationChanged, type Origin } from './events.ts'
import { raiseEpoch } from './store/epochs.ts'
import { endOverdue } from './store/invocations.ts'
import {
  deleteExpiredReceipts,
  deleteOldEdges,
  deleteOldInvocations,
  deleteOldSessions,
  expireEdges,
  overdueEdges,
  overdueTasks,
  zonesWithLapsedServices,
  zonesWithOverdueTasks,
} from './store/sweeps.ts'
import { suspendLapsed } from './suspend-session.ts'

/** In the seed's order (coordinator §13). */
export const coordinatorJobs = (context: CoordinatorContext): readonly Job[] => [
  ttlSweeper(context),
  deadlineEnforcer(context),
  retentionCleaner(context),
  serviceLeaseSweeper(context),
]

const originIn = (zoneId: string): Origin => ({ zoneId, requestId: uuidv4() })

function ttlSweeper(context: CoordinatorContext): Job {
  const { db, settings, counts } = context
  return counted(counts.ttl_sweeper, {
    name: 'ttl_sweeper',
    intervalMs: settings.TTL_SWEEP_INTERVAL_MS,
    async run({ signal }) {
      const zones = await zonesWithOverdueTasks(db)
      await zoneByZone(context, 'coordinator:ttl_sweep', zones, signal, async (tx, zoneId) => {
        await lockAuthority(tx, zoneId)
        const roots = await overdueTasks(tx, zoneId, settings.SWEEPER_BATCH_SIZE)
        if (roots.length === 0) return false
        const { sessions } = await endSessions(context, tx, originIn(zoneId), roots, 'ttl')
        tx.onCommit(() => {
          counts.ttl_sweeper.terminated += sessions.length
        })
        return roots.length >= settings.SWEEPER_BATCH_SIZE
      })
    },
  })
}

function serviceLeaseSweeper(context: CoordinatorContext): Job {
  const { db, settings, counts } = context
  return counted(counts.service_lease_sweeper, {
    name: 'service_lease_sweeper',
    intervalMs: settings.SERVICE_LEASE_SWEEP_INTERVAL_MS,
    async run({ signal }) {
      const zones = await zonesWithLapsedServices(db)
      await zoneByZone(context, 'coordinator:service_lease_sweep', zones, signal, async (tx, zoneId) => {
        await lockSpawn(tx, zoneId)
        const suspended = await suspendLapsed(context, tx, originIn(zoneId), settings.SWEEPER_BATCH_SIZE)
        tx.onCommit(() => {
          counts.service_lease_sweeper.suspended += suspended
        })
        return suspended >= settings.SWEEPER_BATCH_SIZE
      })
    },
  })
}

function deadlineEnforcer(context: CoordinatorContext): Job {
  const { db, settings, outbox } = context
  return singleRunner({
    db,
    name: 'deadline_enforcer',
    intervalMs: settings.DEADLINE_SWEEP_INTERVAL_MS,
    key: 'coordinator:invocation_deadline',
    async run(tx) {
      const ended = await endOverdue(tx, settings.SWEEPER_BATCH_SIZE)
      const events = ended.map((row) => invocationChanged(originIn(row.zone_id), row.status, row))
      await outbox.enqueue(tx, 'coordinator', events)
      return ended.length >= settings.SWEEPER_BATCH_SIZE
    },
  })
}

function retentionCleaner(context: CoordinatorContext): Job {
  const { db, settings, outbox, counts } = context
  const limit = settings.RETENTION_CLEANUP_BATCH_SIZE
  const done = counts.retention_cleaner
  const job = singleRunner({
    db,
    name: 'retention_cleaner',
    intervalMs: settings.RETENTION_CLEANUP_INTERVAL_MS,
    key: 'coordinator:retention_cleanup',
    async run(tx) {
      const expired = await expireOverdue(tx)
      const edges = await deleteOldEdges(tx, settings.DELEGATION_RETENTION_DAYS, limit)
      const sessions = await deleteOldSessions(tx, settings.SESSION_RETENTION_DAYS, limit)
      const invocations = await deleteOldInvocations(tx, settings.INVOCATION_RETENTION_DAYS, limit)
      const rows = await deletePublished(tx, settings.OUTBOX_RETENTION_DAYS, limit)
      const receipts = await deleteExpiredReceipts(tx, limit)
      tx.onCommit(() => {
        done.expired_edges += expired
        done.deleted_edges += edges
        done.deleted_sessions += sessions
        done.deleted_invocations += invocations
        done.deleted_outbox += rows
        done.deleted_idempotency_receipts += receipts
      })
      return Math.max(expired, edges, sessions, invocations, rows, receipts) >= limit
    },
  })

  async function expireOverdue(tx: Tx): Promise<number> {
    let expired = 0
    for (const due of await overdueEdges(tx, limit)) {
      await lockGraph(tx, due.zoneId)
      const edges = await expireEdges(tx, due)
      if (edges.length === 0) continue
      const epoch = await raiseEpoch(tx, due.zoneId)
      await outbox.enqueue(tx, 'coordinator', edgesExpired(originIn(due.zoneId), edges, epoch))
      expired += edges.length
    }
    return expired
  }

  return counted(done, job)
}

/**
 * A transaction for each zone; stops when another replica holds the lock. Where `sweep` answers that more may be left,
 * the zone has its next turn after the others: a busy one keeps nobody waiting.
 */
async function zoneByZone(
  { db, outbox }: CoordinatorContext,
  key: string,
  zones: readonly string[],
  signal: AbortSignal,
  sweep: (tx: Tx, zoneId: string) => Promise<boolean>,
): Promise<void> {
  const turns = [...zones]
  for (const zoneId of turns) {
    if (signal.aborted) return
    const more = await outbox.transaction(db, async (tx) =>
      (await withXactTryLock(tx, key)) ? await sweep(tx, zoneId) : null,
    )
    if (more === null) return
    if (more) turns.push(zoneId)
  }
}

function counted(counts: { runs: number; failures: number }, job: Job): Job {
  return {
    ...job,
    async run(jobContext) {
      counts.runs += 1
      try {
        await job.run(jobContext)
      } catch (error) {
        counts.failures += 1
        throw error
      }
    },
  }
}
