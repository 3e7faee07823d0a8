-- Events are searched by application, session, authority record and label. Under forced row security no plan may
-- narrow by an operator on jsonb, so what is searched for is text of its own. The columns are generated from the
-- metadata: what the search finds and what the chain vouches for cannot disagree. They are cut to what an index
-- takes, and the search compares the metadata too. Ids of sessions and records are one zone's alone.
alter table audit_events
  add column application_id text generated always as ("left"(metadata_json ->> 'application_id', 128)) stored,
  add column agent_session_id text generated always as ("left"(metadata_json ->> 'agent_session_id', 128)) stored,
  add column authority_record_id text generated always as ("left"(metadata_json ->> 'session_id', 128)) stored;
create index audit_events_application_idx on audit_events (zone_id, application_id, occurred_at desc nulls last) where application_id is not null;
create index audit_events_agent_session_idx on audit_events (agent_session_id, occurred_at desc nulls last) where agent_session_id is not null;
create index audit_events_authority_record_idx on audit_events (authority_record_id, occurred_at desc nulls last) where authority_record_id is not null;

-- An event has many labels or, mostly, none: one row for each, in months that come and go with those of the events.
create table audit_event_labels (
  zone_id text not null,
  label text not null,
  occurred_at timestamp with time zone not null,
  event_id text not null
) partition by range (occurred_at);
create unique index audit_event_labels_key on audit_event_labels (zone_id, label, occurred_at desc nulls last, event_id desc nulls last);

create trigger audit_event_labels_append_only
  before update or delete on audit_event_labels
  for each row execute function refuse_change();
create trigger audit_event_labels_no_truncate
  before truncate on audit_event_labels
  for each statement execute function refuse_change();
create table audit_event_labels_default partition of audit_event_labels default;
create trigger audit_event_labels_default_no_truncate
  before truncate on audit_event_labels_default
  for each statement execute function refuse_change();

-- As before, for one of the two ledger tables. Generated columns are made anew where rows move.
create function audit_month_ensure(parent text, month date) returns boolean
language plpgsql
set search_path = pg_catalog, public, pg_temp
set timezone = 'UTC'
as $$
declare
  lower_bound timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
  upper_bound timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
  partition_name text := format('%s_y%sm%s', parent, to_char(lower_bound, 'YYYY'), to_char(lower_bound, 'MM'));
  default_name text := parent || '_default';
  written text;
  moved bigint;
begin
  if to_regclass(format('public.%I', partition_name)) is not null then
    return false;
  end if;
  -- Writers of the month wait until the move is committed.
  execute format('lock table public.%I in access exclusive mode', default_name);
  execute format('create table public.%I (like public.%I including defaults including generated)', partition_name, parent);
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  into strict written
  from pg_attribute a
  where a.attrelid = format('public.%I', parent)::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  execute format('insert into public.%I (%s) select %s from public.%I where occurred_at >= %L and occurred_at < %L',
    partition_name, written, written, default_name, lower_bound, upper_bound);
  get diagnostics moved = row_count;
  if moved > 0 then
    execute format('alter table public.%I disable trigger user', default_name);
    execute format('delete from public.%I where occurred_at >= %L and occurred_at < %L', default_name, lower_bound, upper_bound);
    execute format('alter table public.%I enable trigger user', default_name);
  end if;
  execute format('alter table public.%I attach partition public.%I for values from (%L) to (%L)',
    parent, partition_name, lower_bound, upper_bound);
  execute format('create trigger %I before truncate on public.%I for each statement execute function public.refuse_change()',
    partition_name || '_no_truncate', partition_name);
  return true;
end
$$;
revoke all on function audit_month_ensure(text, date) from public;

create or replace function audit_partition_ensure(month date) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
set timezone = 'UTC'
as $$
begin
  if month is null or extract(year from month) not between 1970 and 9999 then
    raise exception 'month out of range' using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('audit_partitions', 0));
  -- Events first, as their writers take the two tables.
  if not public.audit_month_ensure('audit_events', month) then
    return false;
  end if;
  return public.audit_month_ensure('audit_event_labels', month);
end
$$;

create or replace function audit_partition_drop(partition_name text) returns void
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
  execute format('drop table public.%I', replace(partition_name, 'audit_events_', 'audit_event_labels_'));
end
$$;

create or replace function audit_partition_expire_default(before timestamptz) returns bigint
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
  alter table public.audit_event_labels_default disable trigger user;
  delete from public.audit_event_labels_default where occurred_at < before;
  alter table public.audit_event_labels_default enable trigger user;
  return removed;
end
$$;

select audit_month_ensure('audit_event_labels', to_date(substring(c.relname from 'y(\d{4}m\d{2})$'), 'YYYY"m"MM'))
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'audit_events'::regclass and c.relname <> 'audit_events_default';

insert into audit_event_labels (zone_id, label, occurred_at, event_id)
select distinct e.zone_id, "left"(named.label #>> '{}', 128), e.occurred_at, e.id
from audit_events e
cross join jsonb_array_elements(case jsonb_typeof(e.metadata_json -> 'agent_labels') when 'array' then e.metadata_json -> 'agent_labels' else '[]' end) as named(label)
where jsonb_typeof(named.label) = 'string';

do $$
declare
  visible constant text :=
    $sql$case when current_setting('caracal.zone_id', true) = '*' then true else zone_id = any (string_to_array(current_setting('caracal.zone_id', true), ',')) end$sql$;
begin
  alter table audit_event_labels enable row level security;
  alter table audit_event_labels force row level security;
  execute format('create policy zone_isolation on audit_event_labels using (%s) with check (%s)', visible, visible);

  if exists (select 1 from pg_roles where rolname = 'caracalaudit') then
    grant select, insert on audit_event_labels to caracalaudit;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant select on audit_event_labels to caracalapi;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert on audit_event_labels to caracal_app;
  end if;
end
$$;
