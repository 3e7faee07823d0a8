-- A connection sees the zones named by caracal.zone_id: `*`, one id or a comma list; unset or
-- empty sees nothing (storage-and-operations §4). Forced, so that the owner is bound too.
-- Rows without a zone belong to the deployment and show only at `*`.
do $$
declare
  zone_table text;
  visible constant text :=
    $sql$current_setting('caracal.zone_id', true) = '*' or %s = any (string_to_array(current_setting('caracal.zone_id', true), ','))$sql$;
  expression text;
begin
  foreach zone_table in array array[
    'zones', 'applications', 'workloads', 'providers', 'resources', 'policies', 'policy_sets',
    'policy_versions', 'policy_set_versions', 'policy_set_bindings', 'delegated_grants',
    'provider_connections', 'subject_issuers', 'secret_store', 'admin_tokens', 'admin_audit_events',
    'notification_sinks', 'notification_deliveries', 'service_accounts', 'api_keys', 'roles',
    'role_bindings', 'authority_records', 'secrets', 'step_up_challenges', 'agent_sessions',
    'agent_services', 'agent_invocations', 'delegation_edges', 'delegation_graph_epochs',
    'coordinator_idempotency_receipts', 'audit_events', 'audit_chain_heads', 'audit_ingest_alerts',
    'audit_dead_letters', 'audit_tamper_checkpoints'
  ] loop
    expression := case zone_table
      when 'zones' then format(visible, 'id')
      when 'policy_versions' then format(
        'exists (select 1 from policies p where p.id = policy_versions.policy_id and (%s))',
        format(visible, 'p.zone_id'))
      when 'policy_set_versions' then format(
        'exists (select 1 from policy_sets s where s.id = policy_set_versions.policy_set_id and (%s))',
        format(visible, 's.zone_id'))
      else format(visible, 'zone_id')
    end;
    execute format('alter table %I enable row level security', zone_table);
    execute format('alter table %I force row level security', zone_table);
    execute format('create policy zone_isolation on %I using (%s) with check (%s)', zone_table, expression, expression);
  end loop;
end
$$;
