/** What the management API answers about subjects (control-api §7.15, §7.18). */

export interface Subject {
  readonly subject_id: string
  readonly federated: boolean
  readonly application_name: string | null
  /** Authority records, not agent sessions. */
  readonly total_sessions: number
  readonly active_sessions: number
  readonly revoked_sessions: number
  readonly first_seen: string
  readonly last_seen: string
  readonly last_revoked_at: string | null
  readonly issuer: string | null
}

export interface SubjectOverview {
  readonly subject: Subject
  readonly governed: {
    readonly active: number
    readonly total: number
    readonly recent: readonly {
      readonly session_id: string
      readonly application_id: string
      readonly application_name: string | null
      readonly lifecycle: string
      readonly status: string
      readonly started_at: string
    }[]
  }
  readonly approvals: { readonly pending: number; readonly total: number }
  readonly connections: readonly {
    readonly id: string
    readonly provider_id: string
    readonly provider_name: string
    readonly status: string
    readonly expires_at: string | null
    readonly created_at: string
  }[]
}

export interface AuthorityRecord {
  readonly authority_record_id: string
  readonly parent_authority_record_id: string | null
  readonly status: 'active' | 'revoked' | 'expired'
  readonly created_at: string
  readonly expires_at: string
  readonly revoked_at: string | null
  readonly revoked_reason: string | null
}

export interface Revocation {
  readonly authority_records: number
  readonly sessions: number
  readonly delegations: number
  readonly connections: number
}

export const subjectName = ({ subject_id, application_name }: Subject): string =>
  application_name ?? subject_id

/** In the query, because an id may hold anything, dots and slashes included. */
export const subjectPath = (zoneId: string, subjectId: string): string =>
  `/zones/${zoneId}/subjects?subject=${encodeURIComponent(subjectId)}`
