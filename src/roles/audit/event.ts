/** The audit event as producers make it (audit-and-events §1). Never credentials, token text or bodies. */
export interface AuditEvent {
  /** UUIDv7: identity for deduplication. */
  readonly id: string
  /** `unknown` when no zone is known. */
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly policy_set_id?: string
  readonly policy_set_version_id?: string
  readonly manifest_sha?: string
  readonly evaluation_status: string
  readonly determining_policies_json: readonly Readonly<Record<string, unknown>>[]
  readonly diagnostics_json: readonly Readonly<Record<string, unknown>>[]
  readonly metadata_json?: Readonly<Record<string, unknown>>
  /** ISO 8601, UTC, milliseconds. */
  readonly occurred_at: string
}

/**
 * Where an event came to rest. Authority may leave the process only after `bus` or `journal`;
 * `lost` means neither took it and the grant must be refused (audit-and-events §4).
 */
export type Accepted = 'bus' | 'journal' | 'lost'

/** The producer side of audit, held by sts and gateway. */
export interface AuditSink extends AsyncDisposable {
  /** Never throws. Settles when the event was accepted or lost. */
  emit(event: AuditEvent): Promise<Accepted>
  /** Sends what earlier processes left in the journal; before serving, and every 15 s as a job. */
  drainJournal(): Promise<void>
  /** `audit_evidence_lost` latches; `audit_replay_unavailable` when the journal directory cannot be written. */
  readiness(): Promise<'ok' | 'audit_evidence_lost' | 'audit_replay_unavailable'>
  stats(): Promise<AuditSinkStats>
}

interface AuditSinkStats {
  readonly emitted: number
  readonly dropped: number
  readonly persisted: number
  readonly drained: number
  readonly sinkErrors: number
  readonly queueDepth: number
  readonly queueCapacity: number
  readonly journalFiles: number
  readonly journalBytes: number
  readonly journalOldestAgeSeconds: number
}
