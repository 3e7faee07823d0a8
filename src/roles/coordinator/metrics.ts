/** The coordinator's metrics (coordinator §14, storage-and-operations §13). */
import { Counter, Gauge, type Registry } from 'prom-client'
import { countFrom } from '../../platform/observe/metrics.ts'
import type { Counts } from './counts.ts'
import type { Totals } from './totals.ts'

export function registerCoordinatorMetrics(
  registry: Registry,
  counts: Counts,
  totals: () => Promise<Totals>,
): void {
  const registers = [registry]
  /** Without Postgres the table totals keep their last values: the rest is worth scraping. */
  const known = (): Promise<Totals | null> => totals().catch(() => null)

  new Counter({
    name: 'caracal_invocations_total',
    help: 'Invocations by status',
    labelNames: ['status'],
    registers,
    async collect() {
      const all = await known()
      if (all === null) return
      this.reset()
      for (const [status, count] of Object.entries(all.invocations)) this.inc({ status }, count)
    },
  })
  new Gauge({
    name: 'caracal_outbox_total',
    help: 'Outbox rows of the coordinator by status; many published ones are estimated',
    labelNames: ['status'],
    registers,
    async collect() {
      for (const [status, count] of Object.entries((await known())?.outbox ?? {})) this.set({ status }, count)
    },
  })
  new Counter({
    name: 'caracal_idempotency_requests_total',
    help: 'Requests with an idempotency key by outcome',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset()
      for (const [outcome, count] of Object.entries(counts.idempotency)) this.inc({ outcome }, count)
    },
  })
  const receipts = (name: string, help: string, of: 'rows' | 'oldestSeconds') =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const all = await known()
        if (all !== null) this.set(all.receipts[of])
      },
    })
  receipts('caracal_idempotency_receipts', 'Stored idempotency receipts', 'rows')
  receipts('caracal_idempotency_oldest_seconds', 'Age of the oldest idempotency receipt', 'oldestSeconds')

  const runs: readonly (readonly [string, string, () => number])[] = [
    ['caracal_ttl_sweeper_runs_total', 'Runs of the TTL sweeper', () => counts.ttl_sweeper.runs],
    [
      'caracal_service_lease_sweeper_runs_total',
      'Runs of the service lease sweeper',
      () => counts.service_lease_sweeper.runs,
    ],
    [
      'caracal_retention_cleaner_runs_total',
      'Runs of the retention cleaner',
      () => counts.retention_cleaner.runs,
    ],
    [
      'caracal_retention_sessions_deleted_total',
      'Ended sessions deleted after their retention',
      () => counts.retention_cleaner.deleted_sessions,
    ],
  ]
  for (const [name, help, total] of runs) countFrom(registry, name, help, total)
}
