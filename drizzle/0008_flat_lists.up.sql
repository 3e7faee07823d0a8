-- A page of a list is read in the order of an index, whatever the size of the zone: the newest rows
-- of the zone, of an archive, or of one value of a filter. Where a list is narrowed by something that
-- few rows carry, an index leads to them; where many do, the newest rows contain them.
create index zones_keyset_idx on zones (created_at desc nulls last, id desc nulls last) where archived_at is null;
create index applications_archived_keyset_idx on applications (zone_id, created_at desc nulls last, id desc nulls last) where archived_at is not null;
create index providers_archived_keyset_idx on providers (zone_id, created_at desc nulls last, id desc nulls last) where archived_at is not null;
create index resources_archived_keyset_idx on resources (zone_id, created_at desc nulls last, id desc nulls last) where archived_at is not null;
create index provider_connections_keyset_idx on provider_connections (zone_id, created_at desc nulls last, id desc nulls last);
create index admin_tokens_keyset_idx on admin_tokens (created_at desc nulls last, id desc nulls last);
create index service_accounts_status_keyset_idx on service_accounts (zone_id, status, created_at desc nulls last, id desc nulls last);

create index api_keys_service_account_keyset_idx on api_keys (service_account_id, created_at desc nulls last, id desc nulls last);
drop index api_keys_service_account_id_idx;

create index delegated_grants_user_keyset_idx on delegated_grants (zone_id, user_id, created_at desc nulls last, id desc nulls last);
drop index delegated_grants_zone_id_user_id_idx;
create index delegated_grants_application_keyset_idx on delegated_grants (zone_id, application_id, created_at desc nulls last, id desc nulls last);
create index delegated_grants_resource_keyset_idx on delegated_grants (zone_id, resource_id, created_at desc nulls last, id desc nulls last);
create index delegated_grants_status_keyset_idx on delegated_grants (zone_id, status, created_at desc nulls last, id desc nulls last);

create index admin_audit_events_keyset_idx on admin_audit_events (zone_id, occurred_at desc nulls last, id desc nulls last);
drop index admin_audit_events_zone_id_occurred_at_idx;
create index admin_audit_events_entity_keyset_idx on admin_audit_events (zone_id, entity_id, occurred_at desc nulls last, id desc nulls last) where entity_id is not null;

create index step_up_challenges_principal_keyset_idx on step_up_challenges (zone_id, principal_id, created_at desc nulls last, id desc nulls last);
create index step_up_challenges_tier_keyset_idx on step_up_challenges (zone_id, tier, created_at desc nulls last, id desc nulls last);
create index step_up_challenges_open_keyset_idx on step_up_challenges (zone_id, created_at desc nulls last, id desc nulls last) where consumed_at is null and rejected_at is null;

-- Every mint writes these: one index takes the place of another.
create index authority_records_active_keyset_idx on authority_records (zone_id, created_at desc nulls last, id desc nulls last) where status = 'active';
drop index authority_records_zone_id_expires_at_idx;

-- The coordinator lists by id, control by start.
create index agent_sessions_application_keyset_idx on agent_sessions (zone_id, application_id, id);
drop index agent_sessions_zone_id_application_id_idx;
create index agent_sessions_status_keyset_idx on agent_sessions (zone_id, status, id);
drop index agent_sessions_zone_id_status_idx;
drop index agent_sessions_keyset_idx;
create index agent_sessions_keyset_idx on agent_sessions (zone_id, spawned_at desc nulls last, id desc nulls last);
create index delegation_edges_status_keyset_idx on delegation_edges (zone_id, status, id);
drop index delegation_edges_keyset_idx;
create index agent_invocations_status_keyset_idx on agent_invocations (zone_id, status, id);

create index audit_events_denied_idx on audit_events (zone_id, occurred_at desc nulls last) where decision <> 'allow';
create index audit_events_uncommon_type_idx on audit_events (zone_id, event_type, occurred_at desc nulls last) where event_type <> 'token_exchange' and event_type <> 'gateway_resource_request';
