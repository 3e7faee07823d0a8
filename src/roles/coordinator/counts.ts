/** What this process did since it started, for `/metrics` and `/stats` (coordinator §14). */
export interface Counts {
  readonly idempotency: {
    created: number
    replayed: number
    conflicts: number
    invalid: number
    expired: number
  }
  readonly ttl_sweeper: { runs: number; failures: number; terminated: number }
  readonly service_lease_sweeper: { runs: number; failures: number; suspended: number }
  readonly retention_cleaner: {
    runs: number
    failures: number
    expired_edges: number
    deleted_edges: number
    deleted_sessions: number
    deleted_invocations: number
    deleted_outbox: number
    deleted_idempotency_receipts: number
  }
}

export const startCounting = (): Counts => ({
  idempotency: { created: 0, replayed: 0, conflicts: 0, invalid: 0, expired: 0 },
  ttl_sweeper: { runs: 0, failures: 0, terminated: 0 },
  service_lease_sweeper: { runs: 0, failures: 0, suspended: 0 },
  retention_cleaner: {
    runs: 0,
    failures: 0,
    expired_edges: 0,
    deleted_edges: 0,
    deleted_sessions: 0,
    deleted_invocations: 0,
    deleted_outbox: 0,
    deleted_idempotency_receipts: 0,
  },
})
