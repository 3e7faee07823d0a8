-- Evidence and published versions never change, whoever asks (storage-and-operations §6).
-- Grants alone would not hold: a deployment with one database user owns its tables.
create function refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '% is append-only: % refused', tg_table_name, lower(tg_op)
    using errcode = '42501';
end
$$;

create trigger policy_versions_immutable
  before update or delete on policy_versions
  for each row execute function refuse_change();
create trigger policy_set_versions_immutable
  before update or delete on policy_set_versions
  for each row execute function refuse_change();

create trigger admin_audit_events_append_only
  before update or delete on admin_audit_events
  for each row execute function refuse_change();
create trigger admin_audit_events_no_truncate
  before truncate on admin_audit_events
  for each statement execute function refuse_change();

-- Row triggers of a partitioned table reach its partitions; statement triggers do not,
-- so each partition gets its own on truncate (0002).
create trigger audit_events_append_only
  before update or delete on audit_events
  for each row execute function refuse_change();
create trigger audit_events_no_truncate
  before truncate on audit_events
  for each statement execute function refuse_change();
