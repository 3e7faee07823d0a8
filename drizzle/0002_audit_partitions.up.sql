-- Monthly partitions of audit_events (audit-and-events §14.1). Roles hold no DDL rights:
-- they call these functions, which run as the owner.
create table audit_events_default partition of audit_events default;
create trigger audit_events_default_no_truncate
  before truncate on audit_events_default
  for each statement execute function refuse_change();

-- Makes sure the UTC month that contains `month` has its partition; true when it was created.
-- Rows of that month that already went to the default partition move along.
create function audit_partition_ensure(month date) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set timezone = 'UTC'
as $$
declare
  lower_bound timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
  upper_bound timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
  partition_name text := format('audit_events_y%sm%s', to_char(lower_bound, 'YYYY'), to_char(lower_bound, 'MM'));
begin
  if month is null or extract(year from month) not between 1970 and 9999 then
    raise exception 'month out of range' using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('audit_partitions', 0));
  if to_regclass(format('public.%I', partition_name)) is not null then
    return false;
  end if;
  -- Writers of the month wait until the move is committed.
  lock table public.audit_events_default in access exclusive mode;
  execute format('create table public.%I (like public.audit_events including defaults)', partition_name);
  execute format('insert into public.%I select * from public.audit_events_default where occurred_at >= %L and occurred_at < %L',
    partition_name, lower_bound, upper_bound);
  if found then
    alter table public.audit_events_default disable trigger user;
    delete from public.audit_events_default where occurred_at >= lower_bound and occurred_at < upper_bound;
    alter table public.audit_events_default enable trigger user;
  end if;
  execute format('alter table public.audit_events attach partition public.%I for values from (%L) to (%L)',
    partition_name, lower_bound, upper_bound);
  execute format('create trigger %I before truncate on public.%I for each statement execute function public.refuse_change()',
    partition_name || '_no_truncate', partition_name);
  return true;
end
$$;

-- Drops one whole month. The only way a stored month of evidence ends.
create function audit_partition_drop(partition_name text) returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
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
  execute format('drop table public.%I', partition_name);
end
$$;

-- Deletes what the default partition holds from before the retention bound (rows that
-- arrived without a partition of their month); answers the number of rows.
create function audit_partition_expire_default(before timestamptz) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
  removed bigint;
begin
  if before is null or before > now() - interval '1 day' then
    raise exception 'the bound must be at least one day old' using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('audit_partitions', 0));
  if not exists (select 1 from public.audit_events_default where occurred_at < before) then
    return 0;
  end if;
  alter table public.audit_events_default disable trigger user;
  delete from public.audit_events_default where occurred_at < before;
  get diagnostics removed = row_count;
  alter table public.audit_events_default enable trigger user;
  return removed;
end
$$;

revoke all on function audit_partition_ensure(date) from public;
revoke all on function audit_partition_drop(text) from public;
revoke all on function audit_partition_expire_default(timestamptz) from public;

select audit_partition_ensure((now() at time zone 'UTC' + make_interval(months => ahead))::date)
from generate_series(0, 3) as ahead;
