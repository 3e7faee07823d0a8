/** One archived event: OCSF 1.7.0 Authorization Activity, flat, with its place in the chain (audit-and-events §14.2). */
import type { StoredLink } from '../store/walk-chain.ts'

export function ocsfRecord({
  form,
  contentSha256,
  chainHmac,
  chainSeq,
}: StoredLink): Record<string, unknown> {
  const denied = form.decision.toLowerCase() === 'deny'
  return {
    class_uid: 6003,
    type_uid: 600301,
    severity_id: denied ? 2 : 1,
    activity_id: denied ? 2 : 1,
    time: Number(form.occurredAt.micros / 1000n),
    zone_id: form.zoneId,
    request_id: form.requestId,
    policy_set_version_id: form.policySetVersionId,
    decision: form.decision,
    metadata_version: '1.7.0',
    product_name: 'caracal',
    event_id: form.id,
    event_type: form.eventType,
    policy_set_id: form.policySetId,
    manifest_sha: form.manifestSha,
    evaluation_status: form.evaluationStatus,
    determining_policies_json: form.determiningPolicies ?? '',
    diagnostics_json: form.diagnostics ?? '',
    metadata_json: form.metadata ?? '',
    content_sha256: contentSha256,
    chain_hmac: chainHmac ?? '',
    chain_seq: chainSeq,
  }
}
