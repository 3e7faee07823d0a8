/** Every code of coordinator §16 is provoked by one of these files. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isErrorCode } from '../../../src/platform/http/errors/registry.ts'

const index = `
invalid_params invalid_query invalid_cursor invalid_body subject_session_id_required idempotency_key_invalid
idempotency_key_multiple lease_generation_required delegation_expiry_required delegation_expired
self_delegation_denied invalid_delegation_constraint invalid_max_hops invalid_max_depth invalid_budget
invalid_ttl_seconds invalid_resources invalid_expires_at invalid_policy_approved invalid_broad_reason
delegation_resource_scope_mismatch invalid_request missing_token invalid_token identity_revoked
authority_record_required invalid_subject_proof unauthorized token_invalid missing_scope zone_mismatch
operator_token_required application_ownership_required parent_ownership_required issuer_ownership_required
invoker_ownership_required broad_delegation_permission_required delegation_scopes_exceed_resource
delegation_exceeds_parent_authority parent_delegation_not_active coordinator_admin_required
subject_proof_application_mismatch not_found session_not_found application_not_found parent_not_found
agent_service_not_found invocation_not_found delegation_not_found delegation_endpoint_not_found
resource_not_found dead_outbox_not_found idempotency_key_conflict idempotency_result_inactive
dcr_application_cannot_host_service dcr_application_cannot_be_child dcr_application_cannot_start_child
dcr_application_already_bound task_session_cannot_start_service inherit_parent_edge_not_active
inherit_parent_edge_ambiguous session_not_found_or_not_active session_not_found_or_not_suspended
session_suspended session_not_live session_not_service session_lease_fenced session_lease_expired
session_subject_inactive agent_service_conflict invocation_not_startable invocation_not_cancelable
invocation_not_completable parent_delegation_ambiguous delegation_application_mismatch delegation_cycle_denied
rate_limited session_zone_limit_exceeded session_limit_exceeded session_children_limit_exceeded
session_depth_limit_exceeded idempotency_receipt_limit_exceeded internal_error audit_unavailable
postgres_unreachable redis_unreachable outbox_dead`
  .trim()
  .split(/\s+/)

const sources = readdirSync(import.meta.dirname)
  .filter((name) => /^0[1-8].*\.test\.ts$/.test(name))
  .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  .join('\n')

describe('the error index', () => {
  it.each(index)('%s', (code) => {
    expect(isErrorCode(code)).toBe(true)
    expect(new RegExp(`['"]${code}['"]`).test(sources)).toBe(true)
  })
})
