-- What autovacuum did for the ledger and the bus cost as much as writing them. Statistics of hashes, signatures and
-- JSON serve no plan, and take most of an analysis. Pages of a table that only grows are not visited to be marked
-- visible, which serves index-only scans that nobody makes; they are visited once, when their rows are frozen.
create function audit_spare_upkeep(partition_name text) returns void
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
  wide text;
begin
  execute format('alter table public.%I set (autovacuum_vacuum_insert_threshold = -1)', partition_name);
  for wide in
    select a.attname
    from pg_attribute a
    where a.attrelid = format('public.%I', partition_name)::regclass
      and a.attname in (
        'determining_policies_json', 'diagnostics_json', 'metadata_json', 'content_sha256', 'prev_content_sha256',
        'chain_hmac', 'ingest_signature', 'chain_key_id', 'manifest_sha')
  loop
    execute format('alter table public.%I alter column %I set statistics 0', partition_name, wide);
  end loop;
end
$$;
revoke all on function audit_spare_upkeep(text) from public;

create or replace function audit_month_ensure(parent text, month date) returns boolean
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
  perform public.audit_spare_upkeep(partition_name);
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

select audit_spare_upkeep(c.relname)
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent in ('audit_events'::regclass, 'audit_event_labels'::regclass);

alter table bus_event alter column payload set statistics 0;
alter table bus_event set (autovacuum_vacuum_insert_threshold = -1);
alter table ephemera alter column value set statistics 0;
alter table ephemera set (autovacuum_vacuum_insert_threshold = -1);
