-- A table's owner could empty the published versions, and the ledger's role drop the month that is being written.
create trigger policy_versions_no_truncate
  before truncate on policy_versions
  for each statement execute function refuse_change();
create trigger policy_set_versions_no_truncate
  before truncate on policy_set_versions
  for each statement execute function refuse_change();

-- As in 0018; retention only ever drops months that ended days ago by this clock.
create or replace function audit_partition_drop(partition_name text) returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
  starts timestamp;
begin
  if partition_name is null or partition_name !~ '^audit_events_y[0-9]{4}m[0-9]{2}$' then
    raise exception 'not the name of a monthly partition' using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('audit_partitions', 0));
  if not exists (
    select 1
    from pg_inherits i
    where i.inhparent = 'public.audit_events'::regclass
      and i.inhrelid = to_regclass(format('public.%I', partition_name))
  ) then
    raise exception '% is not a partition of audit_events', partition_name using errcode = '22023';
  end if;
  starts := make_timestamp(
    substring(partition_name from 'y(\d{4})')::int, substring(partition_name from 'm(\d{2})$')::int, 1, 0, 0, 0);
  if (starts + interval '1 month') at time zone 'UTC' > now() then
    raise exception '% has not ended', partition_name using errcode = '22023';
  end if;
  execute format('drop table public.%I', partition_name);
  execute format('drop table public.%I', replace(partition_name, 'audit_events_', 'audit_event_labels_'));
end
$$;
