-- What makes the ledger provable beyond its own rows (audit-and-events §13–§14): which links
-- retention took, the Merkle tree over each chain and its signed heads.
create table audit_chain_cuts (
  zone_id text not null,
  from_seq bigint not null,
  to_seq bigint not null,
  prev_sha256 text,
  last_sha256 text not null,
  cut_at timestamptz not null,
  cut_hmac text not null,
  chain_key_id text,
  constraint audit_chain_cuts_pkey primary key (zone_id, from_seq),
  constraint audit_chain_cuts_range_check check (from_seq <= to_seq)
);

create table audit_tree_blocks (
  zone_id text not null,
  block bigint not null,
  leaves bytea not null,
  constraint audit_tree_blocks_pkey primary key (zone_id, block)
);

create table audit_tree_heads (
  zone_id text not null,
  tree_size bigint not null,
  root_sha256 text not null,
  chain_sha256 text not null,
  statement text not null,
  signed_at timestamptz not null,
  constraint audit_tree_heads_pkey primary key (zone_id, tree_size)
);

-- Exports read by the hour of ingest; rows arrive nearly in that order, so a block range index costs next to nothing.
create index audit_events_ingested_at_idx on audit_events using brin (ingested_at);

create trigger audit_chain_cuts_append_only
  before update or delete on audit_chain_cuts
  for each row execute function refuse_change();
create trigger audit_chain_cuts_no_truncate
  before truncate on audit_chain_cuts
  for each statement execute function refuse_change();
create trigger audit_tree_heads_append_only
  before update or delete on audit_tree_heads
  for each row execute function refuse_change();
create trigger audit_tree_heads_no_truncate
  before truncate on audit_tree_heads
  for each statement execute function refuse_change();

-- Keeps further rows out of a partition until the transaction ends, so that what is recorded as
-- cut is exactly what is dropped.
create function audit_partition_close(partition_name text) returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
  if partition_name is null or partition_name !~ '^audit_events_(default|y[0-9]{4}m[0-9]{2})$' then
    raise exception 'not the name of a partition' using errcode = '22023';
  end if;
  execute format('lock table public.%I in share mode', partition_name);
end
$$;
revoke all on function audit_partition_close(text) from public;

do $$
declare
  zone_table text;
  visible constant text :=
    $sql$current_setting('caracal.zone_id', true) = '*' or zone_id = any (string_to_array(current_setting('caracal.zone_id', true), ','))$sql$;
begin
  foreach zone_table in array array['audit_chain_cuts', 'audit_tree_blocks', 'audit_tree_heads'] loop
    execute format('alter table %I enable row level security', zone_table);
    execute format('alter table %I force row level security', zone_table);
    execute format('create policy zone_isolation on %I using (%s) with check (%s)', zone_table, visible, visible);
  end loop;

  if exists (select 1 from pg_roles where rolname = 'caracalaudit') then
    grant select, insert on audit_chain_cuts to caracalaudit;
    grant select on audit_tree_heads, audit_tree_blocks, admin_audit_events to caracalaudit;
    grant execute on function audit_partition_close(text) to caracalaudit;
  end if;
  -- Receipts are made where the zone's sealed keys can be opened.
  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant select, insert, update on audit_tree_blocks to caracalapi;
    grant select, insert on audit_tree_heads to caracalapi;
    grant select on audit_chain_cuts, audit_tamper_checkpoints to caracalapi;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert on audit_chain_cuts, audit_tree_heads to caracal_app;
    grant select, insert, update on audit_tree_blocks to caracal_app;
    grant execute on function audit_partition_close(text) to caracal_app;
  end if;
end
$$;
