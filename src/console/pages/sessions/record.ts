/** An authority record: on whose authority mandates stand. */
export interface AuthorityRecord {
  readonly authority_record_id: string
  readonly authority_record_type: 'user' | 'application'
  readonly subject_id: string | null
  readonly federated_user_issuer: string | null
  readonly parent_authority_record_id: string | null
  readonly status: 'active' | 'revoked' | 'expired'
  readonly expires_at: string
  readonly created_at: string
  readonly revoked_at: string | null
  readonly revoked_reason: string | null
}
