/** `/metrics.json` (sts §13.2): the same numbers for tools that read no Prometheus text. */
import type { Hono } from 'hono'
import { metricsAllowed } from '../../../platform/http/operations.ts'
import { DECISION_CONTRACT_SHA, DECISION_CONTRACT_VERSION } from '../../../policy/index.ts'
import type { AuditSink } from '../../audit/index.ts'
import type { StsCounters } from '../metrics.ts'
import { accessDenied } from '../refusal.ts'

export interface MetricsJsonDeps {
  readonly counters: StsCounters
  readonly audit: AuditSink
  readonly maxPolicyAgeSeconds: () => number
  readonly pollIntervalSeconds: number
  readonly access: Parameters<typeof metricsAllowed>[1]
}

/** Of `/metrics` as well: the codes of this role are listed in sts §1.4. */
export const metricsRefusal = () => accessDenied('metrics require a bearer token', 401)

export function mountMetricsJson(app: Hono, deps: MetricsJsonDeps): void {
  app.get('/metrics.json', async (c) => {
    if (!metricsAllowed(c, deps.access)) throw metricsRefusal()
    const { counters } = deps
    const audit = await deps.audit.stats()
    return c.json({
      sts: {
        graph_traversals: counters.graphTraversals,
        graph_traversal_errors: counters.graphTraversalErrors,
        audit_sink_errors: audit.sinkErrors,
        audit_replay_files: audit.journalFiles,
        audit_replay_bytes: audit.journalBytes,
        audit_replay_oldest_age_seconds: audit.journalOldestAgeSeconds,
        audit_replay_replayed: audit.drained,
        jwks_invalid_keys: counters.jwksInvalidKeys,
        secret_backend_reads: counters.secretBackendReads,
        secret_backend_errors: counters.secretBackendErrors,
        provider_refresh_shared: counters.providerRefreshShared,
        provider_refresh_leased: counters.providerRefreshLeased,
        provider_refresh_waited: counters.providerRefreshWaited,
        provider_refresh_errors: counters.providerRefreshErrors,
        provider_circuit_open: counters.providerCircuitOpen,
      },
      opa: {
        eval_total: counters.policyEvaluations,
        eval_errors: counters.policyEvaluationErrors,
        eval_duration_ns: Math.round(counters.policyEvaluationSeconds * 1e9),
        compile_total: counters.policyCompiles,
        compile_errors: counters.policyCompileErrors,
        compile_duration_ns: Math.round(counters.policyCompileSeconds * 1e9),
        max_policy_age_seconds: deps.maxPolicyAgeSeconds(),
        poll_interval_seconds: deps.pollIntervalSeconds,
        decision_contract_version: DECISION_CONTRACT_VERSION,
        decision_contract_sha256: DECISION_CONTRACT_SHA,
      },
      audit_dropped: audit.dropped,
    })
  })
}
