/** The counters of this role under `caracal_sts_` (sts §13.2). Names are part of the contract. */
import type { Registry } from 'prom-client'
import { countFrom, gaugeFrom } from '../../platform/observe/metrics.ts'

export interface StsCounters {
  graphTraversals: number
  graphTraversalErrors: number
  rememberedExchanges: number
  rememberedOutdated: number
  jwksInvalidKeys: number
  secretBackendReads: number
  secretBackendErrors: number
  providerRefreshShared: number
  providerRefreshLeased: number
  providerRefreshWaited: number
  providerRefreshErrors: number
  providerCircuitOpen: number
  policyEvaluations: number
  policyEvaluationErrors: number
  policyEvaluationSeconds: number
  policyCompiles: number
  policyCompileErrors: number
  policyCompileSeconds: number
}

export function createStsCounters(): StsCounters {
  return {
    graphTraversals: 0,
    graphTraversalErrors: 0,
    rememberedExchanges: 0,
    rememberedOutdated: 0,
    jwksInvalidKeys: 0,
    secretBackendReads: 0,
    secretBackendErrors: 0,
    providerRefreshShared: 0,
    providerRefreshLeased: 0,
    providerRefreshWaited: 0,
    providerRefreshErrors: 0,
    providerCircuitOpen: 0,
    policyEvaluations: 0,
    policyEvaluationErrors: 0,
    policyEvaluationSeconds: 0,
    policyCompiles: 0,
    policyCompileErrors: 0,
    policyCompileSeconds: 0,
  }
}

const exported: readonly (readonly [name: string, member: keyof StsCounters, help: string])[] = [
  ['graph_traversals_total', 'graphTraversals', 'Delegation lineages read for a decision'],
  ['graph_traversal_errors_total', 'graphTraversalErrors', 'Delegation lineages that carried no authority'],
  ['remembered_exchanges_total', 'rememberedExchanges', 'Mandates issued without a read of their own'],
  [
    'remembered_outdated_total',
    'rememberedOutdated',
    'Exchanges whose write found what was remembered outdated',
  ],
  ['jwks_invalid_keys_total', 'jwksInvalidKeys', 'Signing keys that could not be opened'],
  ['secret_backend_reads_total', 'secretBackendReads', 'Sealed credentials opened'],
  ['secret_backend_errors_total', 'secretBackendErrors', 'Sealed credentials that could not be opened'],
  ['provider_refresh_shared_total', 'providerRefreshShared', 'Refreshes shared within this process'],
  ['provider_refresh_leased_total', 'providerRefreshLeased', 'Refreshes this process ran under the lease'],
  ['provider_refresh_waited_total', 'providerRefreshWaited', 'Refreshes another process ran'],
  ['provider_refresh_errors_total', 'providerRefreshErrors', 'Refreshes and token fetches that failed'],
  ['provider_circuit_open_total', 'providerCircuitOpen', 'Token fetches refused by the open circuit'],
  ['opa_eval_total', 'policyEvaluations', 'Policy decisions'],
  ['opa_eval_errors_total', 'policyEvaluationErrors', 'Policy decisions that ended in an error'],
  ['opa_eval_duration_seconds_total', 'policyEvaluationSeconds', 'Time spent deciding'],
  ['opa_compile_total', 'policyCompiles', 'Policy bundles compiled'],
  ['opa_compile_errors_total', 'policyCompileErrors', 'Policy bundles that could not be compiled'],
  ['opa_compile_duration_seconds_total', 'policyCompileSeconds', 'Time spent compiling'],
]

export interface StsGauges {
  readonly maxPolicyAgeSeconds: () => number
  readonly pollIntervalSeconds: number
}

export function registerStsMetrics(registry: Registry, counters: StsCounters, gauges: StsGauges): void {
  for (const [name, member, help] of exported) {
    countFrom(registry, `caracal_sts_${name}`, help, () => counters[member])
  }
  gaugeFrom(
    registry,
    'caracal_sts_opa_max_policy_age_seconds',
    'Age of the oldest loaded policy bundle',
    gauges.maxPolicyAgeSeconds,
  )
  gaugeFrom(
    registry,
    'caracal_sts_opa_poll_interval_seconds',
    'Interval of the policy poll',
    () => gauges.pollIntervalSeconds,
  )
}
