/** Names of gateway §18 on the role's registry, and the flat object of `/metrics.json`. The audit sink adds its own. */
import { Histogram, type Registry } from 'prom-client'
import type { Consumer, ConsumerStats } from '../../platform/bus/consume.ts'
import type { Database } from '../../platform/db/port.ts'
import { countFrom, gaugeFrom, metricValues, registerPoolMetrics } from '../../platform/observe/metrics.ts'
import type { Counters } from './counters.ts'
import type { RevocationSet } from './revocations/set.ts'
import type { Snapshot } from './revocations/snapshot.ts'

export interface MetricSources {
  readonly counters: Counters
  readonly revocations: RevocationSet
  readonly snapshot: Snapshot
  readonly circuitOpen: () => boolean
  readonly consumer: Consumer
  readonly db: Database
}

const prefix = 'caracal_gateway_'

const counted: readonly (readonly [keyof Counters, string])[] = [
  ['requests_total', 'Requests that arrived to be proxied'],
  ['requests_allowed', 'Requests answered by their upstream'],
  ['requests_denied', 'Requests denied before anything was dialled'],
  ['denials_missing_auth', 'Denied: no bearer'],
  ['denials_bad_bearer', 'Denied: unusable bearer'],
  ['denials_expiring', 'Denied: mandate about to expire'],
  ['denials_bad_routing', 'Denied: resource, zone or client missing'],
  ['denials_path_traversal', 'Denied: path climbs'],
  ['denials_signature', 'Denied: signature'],
  ['denials_jti_replay', 'Denied: mandate used before or older than the replay memory'],
  ['denials_revoked', 'Denied: revoked'],
  ['denials_revocation_stale', 'Denied: revocation snapshot too old'],
  ['denials_rate_limited', 'Denied: too many requests'],
  ['denials_overloaded', 'Denied: too many requests under way'],
  ['sts_exchange_errors', 'Exchanges that did not succeed'],
  ['sts_circuit_opened', 'Times the circuit to the STS opened'],
  ['sts_circuit_fast_fail', 'Requests denied by the open circuit'],
  ['upstream_errors', 'Requests whose upstream could not be used'],
  ['revocation_pending_replayed', 'Revocations taken over from another consumer'],
  ['revocation_reloads', 'Snapshots loaded'],
  ['revocation_reload_errors', 'Snapshots that failed to load'],
]

/** Seconds of whole requests and of their parts. */
export interface Durations {
  readonly request: Histogram<'result_class'>
  readonly exchange: Histogram<'outcome'>
  /** What is neither the exchange's nor the upstream's. */
  readonly added: Histogram
  readonly upstream: Histogram<'result_class'>
}

/** Around the millisecond that a call should take at most. */
const addedBuckets = [
  0.0002, 0.0004, 0.0006, 0.0008, 0.001, 0.0012, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.05, 0.25,
]
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export function createDurations(registry: Registry): Durations {
  const histogram = <Label extends string>(name: string, help: string, label: Label): Histogram<Label> =>
    new Histogram({ name: prefix + name, help, labelNames: [label], buckets, registers: [registry] })
  return {
    request: histogram('request_duration_seconds', 'Whole requests', 'result_class'),
    exchange: histogram('sts_exchange_duration_seconds', 'Exchanges with the STS', 'outcome'),
    added: new Histogram({
      name: `${prefix}added_duration_seconds`,
      help: 'Calls until their upstream is dialled, without the exchange',
      buckets: addedBuckets,
      registers: [registry],
    }),
    upstream: histogram(
      'upstream_duration_seconds',
      'Upstreams until their response headers',
      'result_class',
    ),
  }
}

export function registerMetrics(registry: Registry, sources: MetricSources): void {
  const { counters, revocations, snapshot } = sources
  for (const [key, help] of counted) {
    const name = key === 'requests_total' ? key : `${key}_total`
    countFrom(registry, prefix + name, help, () => counters[key])
  }
  const stream: readonly (readonly [string, keyof ConsumerStats, string])[] = [
    ['revocation_messages_total', 'handled', 'Revocations applied from the stream'],
    ['revocation_dead_letters_total', 'deadLettered', 'Revocation messages set aside'],
    ['revocation_invalid_signatures_total', 'invalidSignatures', 'Revocation messages with a bad signature'],
  ]
  for (const [name, key, help] of stream) {
    countFrom(registry, prefix + name, help, () => sources.consumer.stats()[key])
  }
  const gauges: readonly (readonly [string, string, () => number])[] = [
    ['sts_exchange_latency_ms', 'Duration of the last exchange', () => counters.sts_exchange_latency_ms],
    ['sts_circuit_open', '1 while the circuit to the STS is open', () => Number(sources.circuitOpen())],
    ['revocations_active', 'Anchors held as revoked', () => revocations.size],
    [
      'revocation_snapshot_age_seconds',
      'Age of the revocation snapshot',
      () => finite(snapshot.ageSeconds()),
    ],
    ['revocation_snapshot_fresh', '1 while the snapshot is fresh', () => Number(snapshot.fresh())],
    [
      'revocation_propagation_seconds',
      'Delay of the last revocation message',
      () => counters.revocation_propagation_seconds,
    ],
    ['requests_watched', 'Requests that would be cut by a revocation', () => revocations.watching],
  ]
  for (const [name, help, value] of gauges) gaugeFrom(registry, prefix + name, help, value)
  registerPoolMetrics(registry, 'gateway', sources.db)
}

const finite = (value: number): number => (Number.isFinite(value) ? value : -1)

/** `/metrics.json`: names without prefix and `_total`, v1's two spellings kept. */
export async function metricsJson(registry: Registry): Promise<Record<string, number>> {
  const flat: Record<string, number> = {}
  for (const [name, value] of Object.entries(await metricValues(registry))) {
    if (!name.startsWith(prefix)) continue
    const short = name.slice(prefix.length)
    if (short === 'requests_total') flat[short] = value
    else if (short === 'audit_queue_capacity') flat.audit_queue_cap = value
    else flat[short.replace(/_total$/, '')] = value
  }
  return flat
}

/** `/metrics`: the requests come first, as v1's scrapers find them. */
export async function metricsText(registry: Registry): Promise<string> {
  const blocks = (await registry.metrics()).split('\n\n')
  const first = blocks.findIndex((block) => block.startsWith(`# HELP ${prefix}requests_total `))
  return [...blocks.splice(Math.max(0, first), 1), ...blocks].join('\n\n')
}
