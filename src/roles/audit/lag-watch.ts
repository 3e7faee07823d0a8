/** What the role observes of its own backlog every 30 s, for readiness and metrics (audit-and-events §7.1). */
import type { Settings } from '../../config/env.ts'
import { type Bus, GroupLost, type GroupStats, type WorkGroup } from '../../platform/bus/port.ts'
import { ageSeconds } from './dead-letters.ts'
import { auditDeadLetterStream } from './frame.ts'

interface Backlog {
  /** Delivered and not acknowledged. */
  readonly pending: number
  readonly undelivered: number
  readonly oldestPendingSeconds: number
  readonly deadLetters: number
  readonly oldestDeadLetterSeconds: number
}

type Thresholds = Pick<
  Settings,
  'AUDIT_READY_DLQ_MAX' | 'AUDIT_READY_LAG_MAX' | 'AUDIT_READY_PEL_OLDEST_SECS_MAX'
>

export interface LagWatch {
  poll(): Promise<void>
  latest(): Backlog
  /** The readiness reason of the first threshold that is passed; 0 disables a threshold. */
  exceeded(thresholds: Thresholds): string | null
}

const nothing: Backlog = {
  pending: 0,
  undelivered: 0,
  oldestPendingSeconds: 0,
  deadLetters: 0,
  oldestDeadLetterSeconds: 0,
}

/** A group that is gone, or not made yet, is made by its consumer and has nothing pending until then. */
function nothingYet(error: unknown): Pick<GroupStats, 'pending' | 'undelivered' | 'oldestPendingMs'> {
  if (!(error instanceof GroupLost)) throw error
  return { pending: 0, undelivered: 0, oldestPendingMs: 0 }
}

export function createLagWatch(bus: Bus, group: WorkGroup): LagWatch {
  let latest = nothing
  const passed = (observed: number, limit: number) => limit > 0 && observed > limit
  return {
    latest: () => latest,
    async poll() {
      const [stats, deadLetters, [oldest]] = await Promise.all([
        group.stats().catch(nothingYet),
        bus.length(auditDeadLetterStream),
        bus.range(auditDeadLetterStream, '-', 1),
      ])
      latest = {
        pending: stats.pending,
        undelivered: stats.undelivered,
        oldestPendingSeconds: stats.oldestPendingMs / 1000,
        deadLetters,
        oldestDeadLetterSeconds: oldest === undefined ? 0 : ageSeconds(oldest, bus.driver),
      }
    },
    exceeded(thresholds) {
      if (passed(latest.deadLetters, thresholds.AUDIT_READY_DLQ_MAX)) return 'audit_dlq_threshold'
      if (passed(latest.pending, thresholds.AUDIT_READY_LAG_MAX)) return 'audit_lag_threshold'
      if (passed(latest.oldestPendingSeconds, thresholds.AUDIT_READY_PEL_OLDEST_SECS_MAX)) {
        return 'audit_pel_oldest_threshold'
      }
      return null
    },
  }
}
