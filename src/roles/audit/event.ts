import type { Logger } from 'pino'
import type { OutgoingEntry } from '../../platform/bus/port.ts'

/** The audit event as producers make it (audit-and-events §1). Never credentials, token text or bodies. */
export interface AuditEvent {
  /** UUIDv7: identity for deduplication. */
  readonly id: string
  /** `unknown` when no zone is known. */
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly policy_set_id?: string | undefined
  readonly policy_set_version_id?: string | undefined
  readonly manifest_sha?: string | undefined
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

/** An event about to travel with another statement. Exactly one of the two must be told. */
export interface Boarded {
  readonly entry: OutgoingEntry
  /** The statement committed with the entry. */
  arrived(): void
  /** It did not take the entry along: the event goes the way of `emit`. */
  leftBehind(): Promise<Accepted>
}

/** The producer side of audit, held by sts and gateway. */
export interface AuditSink extends AsyncDisposable {
  /** Never throws. Settles when the event was accepted or lost. */
  emit(event: AuditEvent): Promise<Accepted>
  /** An outcome nobody waits for: it may gather company for a few milliseconds before it goes the way of `emit`. */
  tell(event: AuditEvent): void
  /** For a statement that carries the evidence of what it writes into the bus of the store. */
  board(event: AuditEvent): Boarded
  /** Sends what earlier processes left in the journal; before serving, and every 15 s as a job, which has a log of its own. */
  drainJournal(log?: Logger): Promise<void>
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
