/** Prometheus registries, one per role, text format 0.0.4 (storage-and-operations §13). */
import { Counter, Gauge, Registry } from 'prom-client'
import type { Database } from '../db/port.ts'
import type { LogCounters } from './logger.ts'
import type { TraceStats } from './otlp-exporter.ts'

/** An empty registry. Process-wide default metrics are left out on purpose: names are part of the contract. */
export function createRegistry(): Registry {
  return new Registry()
}

/** A counter without labels that reads its value from a total kept elsewhere. */
export function countFrom(registry: Registry, name: string, help: string, total: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(total())
    },
  })
}

/** A gauge without labels that reads its value when scraped. */
export function gaugeFrom(
  registry: Registry,
  name: string,
  help: string,
  value: () => number | Promise<number>,
): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      this.set(await value())
    },
  })
}

/** `caracal_log_*_total` of the process. */
export function registerLogMetrics(registry: Registry, counters: () => LogCounters): void {
  countFrom(registry, 'caracal_log_emitted_total', 'Log lines written', () => counters().emitted)
  countFrom(
    registry,
    'caracal_log_dropped_total',
    'Log lines dropped because the output was slow',
    () => counters().dropped,
  )
  countFrom(
    registry,
    'caracal_log_sampled_total',
    'Debug lines left out by sampling',
    () => counters().sampled,
  )
}

/** `caracal_trace_*` of the process. */
export function registerTraceMetrics(registry: Registry, stats: () => TraceStats): void {
  countFrom(
    registry,
    'caracal_trace_spans_exported_total',
    'Spans the collector took',
    () => stats().exported,
  )
  countFrom(
    registry,
    'caracal_trace_spans_dropped_total',
    'Spans dropped because the queue was full or the collector refused them',
    () => stats().dropped,
  )
  countFrom(
    registry,
    'caracal_trace_export_failures_total',
    'Export requests that failed',
    () => stats().failures,
  )
}

/** `caracal_db_pool_*` with the label `role`. */
export function registerPoolMetrics(registry: Registry, role: string, db: Pick<Database, 'pool'>): void {
  const gauges: readonly (readonly [string, string, () => number])[] = [
    ['caracal_db_pool_max_conns', 'Size of the connection pool', () => db.pool().max],
    ['caracal_db_pool_acquired_conns', 'Connections in use', () => db.pool().acquired],
    [
      'caracal_db_pool_in_use_ratio',
      'Share of the pool in use',
      () => (db.pool().max === 0 ? 0 : db.pool().acquired / db.pool().max),
    ],
  ]
  for (const [name, help, value] of gauges) {
    new Gauge({
      name,
      help,
      labelNames: ['role'],
      registers: [registry],
      collect() {
        this.set({ role }, value())
      },
    })
  }
}

/** Values of every metric without labels by name: what `/metrics.json` is made from. */
export async function metricValues(registry: Registry): Promise<Record<string, number>> {
  const values: Record<string, number> = {}
  for (const metric of await registry.getMetricsAsJSON()) {
    for (const sample of metric.values) {
      if (Object.keys(sample.labels).length === 0) values[metric.name] = sample.value
    }
  }
  return values
}
