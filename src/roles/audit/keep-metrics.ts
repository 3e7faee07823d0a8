/** Metrics of what happens to stored evidence: sweeps, retention, leadership (storage-and-operations §13). */
import type { Registry } from 'prom-client'
import { countFrom, gaugeFrom } from '../../platform/observe/metrics.ts'
import type { ArchiveCounts } from './export/archive.ts'
import type { Leaders } from './leaders.ts'
import type { RetentionCounts } from './retention/retain.ts'
import type { SweepCounts } from './verify/sweep.ts'

export function registerKeepMetrics(
  metrics: Registry,
  sweep: SweepCounts,
  retention: RetentionCounts,
  archive: ArchiveCounts,
  leaders: Leaders,
): void {
  const count = (name: string, help: string, read: () => number) =>
    countFrom(metrics, `caracal_audit_${name}`, help, read)
  const gauge = (name: string, help: string, read: () => number) =>
    gaugeFrom(metrics, `caracal_audit_${name}`, help, read)
  count('tamper_checked_total', 'Links a sweep verified', () => sweep.checked)
  count('tamper_mismatch_total', 'Rows whose content does not match their hash', () => sweep.mismatches)
  count(
    'tamper_chain_breaks_total',
    'Links that are missing, foreign or do not follow',
    () => sweep.chainBreaks,
  )
  count('tamper_hmac_failures_total', 'Links without a valid keyed mark', () => sweep.hmacFailures)
  gauge('tamper_last_sweep_unix', 'When the last sweep of what is recent began', () => sweep.lastSweep)
  gauge('tamper_last_full_unix', 'When the last sweep of everything began', () => sweep.lastFull)
  count('retention_created_total', 'Monthly partitions made', () => retention.created)
  count('retention_dropped_total', 'Monthly partitions dropped', () => retention.dropped)
  count('export_events_total', 'Events written to the archive', () => archive.events)
  count('export_errors_total', 'Hours that could not be archived', () => archive.errors)
  gauge('export_duration_seconds', 'Time the last archived hour took', () => archive.durationSeconds)
  gauge('export_backlog_hours', 'Complete hours not archived yet', () => archive.backlogHours)
  gauge('is_export_leader', 'This process archives', () => Number(leaders.export.held))
  gauge('is_retention_leader', 'This process keeps retention and sweeps', () =>
    Number(leaders.retention.held),
  )
  count(
    'export_lease_transitions_total',
    'Leadership of the archive won or lost',
    () => leaders.export.transitions,
  )
  count(
    'retention_lease_transitions_total',
    'Leadership of retention won or lost',
    () => leaders.retention.transitions,
  )
}
