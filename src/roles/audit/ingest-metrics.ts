import type { Registry } from 'prom-client'
import { countFrom, gaugeFrom } from '../../platform/observe/metrics.ts'
import type { IngestCounts } from './ingest/process.ts'
import type { LagWatch } from './lag-watch.ts'

/** The ingest metrics of storage-and-operations §13. */
export function registerIngestMetrics(metrics: Registry, counts: IngestCounts, watch: LagWatch): void {
  const count = (name: string, help: string, read: () => number) =>
    countFrom(metrics, `caracal_audit_${name}`, help, read)
  const gauge = (name: string, help: string, read: () => number) =>
    gaugeFrom(metrics, `caracal_audit_${name}`, help, read)
  count('inserts_total', 'Events stored in the ledger', () => counts.inserts)
  count('parse_errors_total', 'Entries that are not events', () => counts.parseErrors)
  count('hmac_failures_total', 'Entries whose signature does not hold', () => counts.hmacFailures)
  count('dlq_total', 'Entries moved to the dead letters', () => counts.deadLetters)
  count('retries_total', 'Entries left pending for another try', () => counts.retries)
  count('tamper_replay_total', 'Known ids that came again with other content', () => counts.tamperReplays)
  gauge('consumer_lag', 'Entries delivered and not acknowledged', () => watch.latest().pending)
  gauge('stream_undelivered', 'Entries not delivered yet', () => watch.latest().undelivered)
  gauge(
    'consumer_pel_oldest_seconds',
    'Idle time of the oldest pending entry',
    () => watch.latest().oldestPendingSeconds,
  )
  gauge('dlq_size', 'Dead letters', () => watch.latest().deadLetters)
  gauge(
    'dlq_oldest_age_seconds',
    'Age of the oldest dead letter',
    () => watch.latest().oldestDeadLetterSeconds,
  )
}
