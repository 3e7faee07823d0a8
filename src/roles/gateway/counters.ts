/**
 * What the gateway counts (gateway §18). Plain numbers on the hot path; the
 * registry and `/metrics.json` read them when they are asked.
 */
export interface Counters {
  requests_total: number
  requests_allowed: number
  requests_denied: number
  denials_missing_auth: number
  denials_bad_bearer: number
  denials_expiring: number
  denials_bad_routing: number
  denials_path_traversal: number
  denials_signature: number
  denials_jti_replay: number
  denials_revoked: number
  denials_revocation_stale: number
  denials_rate_limited: number
  denials_overloaded: number
  sts_exchange_errors: number
  sts_exchange_latency_ms: number
  sts_circuit_opened: number
  sts_circuit_fast_fail: number
  upstream_errors: number
  revocation_pending_replayed: number
  revocation_reloads: number
  revocation_reload_errors: number
  revocation_propagation_seconds: number
}

export const createCounters = (): Counters => ({
  requests_total: 0,
  requests_allowed: 0,
  requests_denied: 0,
  denials_missing_auth: 0,
  denials_bad_bearer: 0,
  denials_expiring: 0,
  denials_bad_routing: 0,
  denials_path_traversal: 0,
  denials_signature: 0,
  denials_jti_replay: 0,
  denials_revoked: 0,
  denials_revocation_stale: 0,
  denials_rate_limited: 0,
  denials_overloaded: 0,
  sts_exchange_errors: 0,
  sts_exchange_latency_ms: 0,
  sts_circuit_opened: 0,
  sts_circuit_fast_fail: 0,
  upstream_errors: 0,
  revocation_pending_replayed: 0,
  revocation_reloads: 0,
  revocation_reload_errors: 0,
  revocation_propagation_seconds: 0,
})
