/** One row of a zone in every table that has a zone, written from above row security. */
import type postgres from 'postgres'

export interface SeededZone {
  readonly id: string
}

/** Ids are `<zone>-<kind>`; two zones share nothing. */
export async function seedZone(sql: postgres.Sql, zone: string): Promise<SeededZone> {
  const id = (kind: string) => `${zone}-${kind}`
  const bytes = Buffer.from(zone)
  const digest = Buffer.alloc(32, zone)
  await sql.begin(async (tx) => {
    await tx`insert into zones (id, name, slug) values (${zone}, ${zone}, ${zone})`
    await tx`insert into applications (id, zone_id, name, registration_method) values (${id('app')}, ${zone}, 'a', 'managed')`
    await tx`insert into workloads (id, zone_id, name, secret_hash) values (${id('workload')}, ${zone}, 'w', 'x')`
    await tx`insert into providers (id, zone_id, name, identifier, provider_kind) values (${id('provider')}, ${zone}, 'p', 'p', 'none')`
    await tx`insert into resources (id, zone_id, name, identifier, credential_provider_id)
      values (${id('resource')}, ${zone}, 'r', 'r', ${id('provider')})`
    await tx`insert into policies (id, zone_id, name, created_by) values (${id('policy')}, ${zone}, 'p', 't')`
    await tx`insert into policy_versions (id, policy_id, version, content, content_sha256, schema_version, created_by)
      values (${id('policy-version')}, ${id('policy')}, 1, 'c', 'h', 's', 't')`
    await tx`insert into policy_sets (id, zone_id, name, created_by) values (${id('set')}, ${zone}, 's', 't')`
    await tx`insert into policy_set_versions (id, policy_set_id, version, manifest_json, manifest_sha256, schema_version, created_by)
      values (${id('set-version')}, ${id('set')}, 1, '[]', 'h', 's', 't')`
    await tx`insert into policy_set_bindings (zone_id, policy_set_id, active_version_id) values (${zone}, ${id('set')}, ${id('set-version')})`
    await tx`insert into delegated_grants (id, zone_id, user_id, resource_id, scopes) values (${id('grant')}, ${zone}, 'u', ${id('resource')}, '{s}')`
    await tx`insert into provider_connections (id, zone_id, subject_id, provider_id) values (${id('connection')}, ${zone}, 's', ${id('provider')})`
    await tx`insert into subject_issuers (id, zone_id, issuer, jwks_url, audience) values (${id('issuer')}, ${zone}, 'i', 'j', 'a')`
    await tx`insert into secret_store (ref, zone_id, envelope) values (${id('ref')}, ${zone}, ${bytes})`
    await tx`insert into admin_tokens (id, name, token_lookup, scope, zone_id, created_by) values (${id('token')}, 't', ${bytes}, 'zone', ${zone}, 't')`
    await tx`insert into admin_audit_events (id, request_id, action, method, path, zone_id, status_code)
      values (${id('admin-audit')}, 'r', 'a', 'POST', '/', ${zone}, 200)`
    await tx`insert into notification_sinks (id, zone_id, name, url, secret_ct, event_types) values (${id('sink')}, ${zone}, 'n', 'u', ${bytes}, '{e}')`
    await tx`insert into notification_deliveries (id, sink_id, zone_id, event_id, event_type, payload_json)
      values (${id('delivery')}, ${id('sink')}, ${zone}, 'e', 'e', '{}')`
    await tx`insert into service_accounts (id, zone_id, username, password_hash, created_by) values (${id('account')}, ${zone}, ${id('user')}, 'h', 't')`
    await tx`insert into api_keys (id, name, prefix, zone_id, service_account_id, secret_hash, created_by)
      values (${id('key')}, 'k', 'p', ${zone}, ${id('account')}, 'h', 't')`
    await tx`insert into roles (id, zone_id, name, rules, created_by) values (${id('role')}, ${zone}, 'r', '[]', 't')`
    await tx`insert into role_bindings (id, role_id, subject_kind, subject_id, zone_id, created_by)
      values (${id('binding')}, ${id('role')}, 'service_account', ${id('account')}, ${zone}, 't')`
    await tx`insert into authority_records (id, zone_id, session_type, expires_at, authenticated_at)
      values (${id('record')}, ${zone}, 'user', now() + interval '1 hour', now())`
    await tx`insert into subjects (zone_id, subject_id, records, revoked, first_seen, last_seen, federated)
      values (${zone}, 's', 1, 0, now(), now(), false)`
    await tx`insert into secrets (id, zone_id, entity_id, name, type, envelope) values (${id('kid')}, ${zone}, ${zone}, 'zone_signing_key', 'token', ${bytes})`
    await tx`insert into step_up_challenges (id, zone_id, challenge_type, expires_at) values (${id('challenge')}, ${zone}, 'human_approval', now())`
    for (const session of ['session', 'session-2']) {
      await tx`insert into agent_sessions (id, zone_id, application_id, session_sid) values (${id(session)}, ${zone}, ${id('app')}, ${id('record')})`
    }
    await tx`insert into agent_session_labels (zone_id, label, session_id, spawned_at) values (${zone}, 'l', ${id('session')}, now())`
    await tx`insert into agent_services (id, zone_id, application_id, endpoint_url, agent_session_id)
      values (${id('service')}, ${zone}, ${id('app')}, 'http://agent', ${id('session')})`
    await tx`insert into agent_invocations (id, zone_id, service_id, source_session_id, target_session_id, idempotency_key, method, request_digest)
      values (${id('invocation')}, ${zone}, ${id('service')}, ${id('session')}, ${id('session-2')}, 'k', 'm', ${digest})`
    await tx`insert into delegation_edges (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, expires_at)
      values (${id('edge')}, ${zone}, ${id('session')}, ${id('session-2')}, ${id('app')}, ${id('app')}, now() + interval '1 hour')`
    await tx`insert into delegation_graph_epochs (zone_id) values (${zone})`
    await tx`insert into coordinator_idempotency_receipts (id, operation, zone_id, scope_id, key_digest, request_digest, resource_type, resource_id, response_status, response_json, expires_at)
      values (${id('receipt')}, 'session.start.v2', ${zone}, 's', ${digest}, ${digest}, 't', 'i', 201, '{}', now() + interval '1 day')`
    await tx`insert into audit_events (id, zone_id, event_type, occurred_at) values (${id('event')}, ${zone}, 'e', now())`
    await tx`insert into audit_event_labels (zone_id, label, occurred_at, event_id) values (${zone}, 'l', now(), ${id('event')})`
    await tx`insert into audit_chain_heads (zone_id, chain_seq, content_sha256) values (${zone}, 1, 'h')`
    await tx`insert into audit_ingest_alerts (event_id, zone_id, kind) values ('e', ${zone}, 'k')`
    await tx`insert into audit_dead_letters (id, reason, zone_id, received_at) values (${id('dead')}, 'r', ${zone}, now())`
    await tx`insert into audit_chain_cuts (zone_id, from_seq, to_seq, last_sha256, cut_at, cut_hmac) values (${zone}, 1, 1, 'h', now(), 'm')`
    await tx`insert into audit_tree_blocks (zone_id, block, leaves, root) values (${zone}, 0, ''::bytea, ''::bytea)`
    await tx`insert into audit_tree_heads (zone_id, tree_size, root_sha256, chain_sha256, statement, signed_at) values (${zone}, 1, 'r', 'c', 's', now())`
    await tx`insert into audit_tamper_checkpoints (zone_id, verified_seq, verified_sha256, verified_at) values (${zone}, 1, 'h', now())`
  })
  return { id: zone }
}
