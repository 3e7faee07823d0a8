-- An analysis reads as much of a small table as of a large one, and at the default of a tenth a ledger that fills is
-- analysed every time autovacuum comes by: half a second of a core each, for statistics that hardly differ. What only
-- grows is looked at again after half as much again; what is only ever read by its key, once it has doubled.
create or replace function audit_spare_upkeep(partition_name text) returns void
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
  wide text;
begin
  execute format(
    'alter table public.%I set (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0.5)',
    partition_name);
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

select audit_spare_upkeep(c.relname)
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent in ('audit_events'::regclass, 'audit_event_labels'::regclass);

alter table authority_records set (autovacuum_analyze_scale_factor = 0.3);
alter table bus_event set (autovacuum_analyze_scale_factor = 1, autovacuum_analyze_threshold = 1000);
alter table ephemera set (autovacuum_analyze_scale_factor = 1, autovacuum_analyze_threshold = 1000);
