-- Database roles and what each may touch (storage-and-operations §5). `caracal_app` is the role
-- of a deployment with one login that must not run as superuser (the embedded store); the others
-- serve deployments with a login for each role. Roles are created without login, and only when
-- the migrating role may create roles; a role that is missing is skipped with a notice.
do $$
declare
  wanted text;
  may_create boolean := (select rolsuper or rolcreaterole from pg_roles where rolname = current_user);
  is_super boolean := (select rolsuper from pg_roles where rolname = current_user);
  entry record;
  relation text;
begin
  foreach wanted in array array[
    'caracal_app', 'caracalapi', 'caracalsts', 'caracalgateway', 'caracalaudit', 'caracalcoordinator'
  ] loop
    if not exists (select 1 from pg_roles where rolname = wanted) then
      if not may_create then
        raise notice 'database role % does not exist and % may not create it: its grants are skipped', wanted, current_user;
        continue;
      end if;
      begin
        execute format('create role %I nologin', wanted);
      exception
        -- Roles belong to the cluster: another database may have made it in this moment.
        when duplicate_object or unique_violation then null;
      end;
      if wanted = 'caracal_app' and not is_super then
        begin
          execute format('grant %I to current_user', wanted);
        exception
          when others then raise notice '% may not run as %: %', current_user, wanted, sqlerrm;
        end;
      end if;
    end if;
    execute format('grant usage on schema public to %I', wanted);
    execute format('grant select on schema_migrations to %I', wanted);
  end loop;

  -- Upsert and `returning` read what they write, so every insert comes with select.
  for entry in
    select * from (values
      ('caracalapi', 'select, insert, update, delete',
        'zones applications workloads providers resources policies policy_sets policy_set_bindings delegated_grants provider_connections subject_issuers secret_store secrets caracal_outbox admin_tokens audit_retention sts_rate_limit notification_sinks notification_deliveries service_accounts platform_signing_keys api_keys roles role_bindings console_accounts console_sessions credential_keys deployment bus_event bus_cursor bus_delivery ephemera'),
      ('caracalapi', 'select, insert', 'policy_versions policy_set_versions admin_audit_events'),
      ('caracalapi', 'select, insert, update', 'delegation_graph_epochs'),
      ('caracalapi', 'select, update', 'authority_records step_up_challenges agent_sessions delegation_edges'),
      ('caracalapi', 'select', 'agent_services agent_invocations audit_events audit_chain_heads'),
      ('caracalsts', 'select, insert, update, delete', 'step_up_challenges bus_event bus_cursor bus_delivery ephemera'),
      ('caracalsts', 'select, insert, update', 'delegated_grants provider_connections secrets authority_records'),
      ('caracalsts', 'select, insert', 'caracal_outbox credential_keys deployment'),
      ('caracalsts', 'select',
        'zones applications workloads subject_issuers providers resources policies policy_sets policy_set_bindings policy_versions policy_set_versions secret_store agent_sessions agent_services agent_invocations delegation_edges delegation_graph_epochs sts_rate_limit'),
      ('caracalcoordinator', 'select, insert, update, delete',
        'agent_sessions delegation_edges caracal_outbox bus_event bus_cursor bus_delivery ephemera'),
      ('caracalcoordinator', 'select, insert, update', 'agent_services agent_invocations delegation_graph_epochs'),
      ('caracalcoordinator', 'select, insert, delete', 'coordinator_idempotency_receipts'),
      ('caracalcoordinator', 'select, insert', 'admin_audit_events credential_keys deployment'),
      ('caracalcoordinator', 'select', 'zones applications resources authority_records'),
      ('caracalgateway', 'select, insert, update, delete', 'bus_event bus_cursor bus_delivery ephemera'),
      ('caracalgateway', 'select, insert', 'caracal_outbox deployment'),
      ('caracalgateway', 'select',
        'zones applications providers resources authority_records agent_sessions delegation_edges delegation_graph_epochs'),
      ('caracalaudit', 'select, insert, update, delete',
        'audit_dead_letters audit_export_watermark audit_tamper_checkpoints bus_event bus_cursor bus_delivery ephemera'),
      ('caracalaudit', 'select, insert, update', 'audit_chain_heads audit_ingest_alerts'),
      ('caracalaudit', 'select, insert', 'audit_events caracal_outbox credential_keys deployment'),
      ('caracalaudit', 'select', 'audit_retention')
    ) as g (grantee, privileges, relations)
  loop
    if exists (select 1 from pg_roles where rolname = entry.grantee) then
      foreach relation in array string_to_array(entry.relations, ' ') loop
        execute format('grant %s on %I to %I', entry.privileges, relation, entry.grantee);
      end loop;
    end if;
  end loop;

  if exists (select 1 from pg_roles where rolname = 'caracalaudit') then
    grant usage on sequence audit_ingest_alerts_id_seq to caracalaudit;
    grant execute on function audit_partition_ensure(date), audit_partition_drop(text),
      audit_partition_expire_default(timestamptz) to caracalaudit;
  end if;

  -- The single role of all roles: everything they may do together, and no more. Never a
  -- partition: reached by name it would not be bound by its parent's policy.
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    for relation in
      select c.relname
      from pg_class c
      where c.relnamespace = 'public'::regnamespace
        and c.relkind in ('r', 'p')
        and not c.relispartition
        and c.relname not in ('schema_migrations', 'audit_events', 'admin_audit_events', 'policy_versions', 'policy_set_versions')
    loop
      execute format('grant select, insert, update, delete on %I to caracal_app', relation);
    end loop;
    grant select, insert on audit_events, admin_audit_events, policy_versions, policy_set_versions to caracal_app;
    grant usage on sequence audit_ingest_alerts_id_seq to caracal_app;
    grant execute on function audit_partition_ensure(date), audit_partition_drop(text),
      audit_partition_expire_default(timestamptz) to caracal_app;
  end if;
end
$$;
