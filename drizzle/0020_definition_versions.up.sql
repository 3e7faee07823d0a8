-- An exchange may be decided on what the last one with the same session and delegation read, if the write proves
-- that nothing of it has changed. For what the control plane defines that is one look-up: a version for each zone,
-- which every change of a definition moves, whoever makes it.
create table definition_versions (
  zone_id text not null,
  version text not null,
  constraint definition_versions_pkey primary key (zone_id),
  constraint definition_versions_zone_id_fkey foreign key (zone_id) references zones (id) on delete cascade
);
insert into definition_versions (zone_id, version) select id, '0' from zones;

-- The version is the transaction that made the change. It is written once in a transaction and at its end, so that
-- no change waits for another one while it still needs locks. Whatever zone the transaction sees by then.
create function definition_changed() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
  changed text;
  mine constant text := pg_current_xact_id()::text;
  visible constant text := coalesce(current_setting('caracal.zone_id', true), '');
begin
  if tg_table_name = 'zones' then
    changed := new.id;
  elsif tg_op = 'DELETE' then
    changed := old.zone_id;
  else
    changed := new.zone_id;
  end if;
  perform set_config('caracal.zone_id', '*', true);
  update public.definition_versions d set version = mine where d.zone_id = changed and d.version <> mine;
  perform set_config('caracal.zone_id', visible, true);
  return null;
end
$$;

create function definition_version_begins() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
  visible constant text := coalesce(current_setting('caracal.zone_id', true), '');
begin
  perform set_config('caracal.zone_id', '*', true);
  insert into public.definition_versions (zone_id, version) values (new.id, pg_current_xact_id()::text);
  perform set_config('caracal.zone_id', visible, true);
  return null;
end
$$;
revoke all on function definition_changed(), definition_version_begins() from public;

create trigger definition_version_begins after insert on zones
  for each row execute function definition_version_begins();
create constraint trigger definition_changed after update on zones
  deferrable initially deferred for each row execute function definition_changed();

do $$
declare
  defining text;
  visible constant text :=
    $sql$case when current_setting('caracal.zone_id', true) = '*' then true else zone_id = any (string_to_array(current_setting('caracal.zone_id', true), ',')) end$sql$;
begin
  -- Signing keys are among the secrets, credentials of providers in the secret store.
  foreach defining in array array[
    'applications', 'resources', 'providers', 'secret_store', 'secrets', 'policy_set_bindings']
  loop
    execute format(
      'create constraint trigger definition_changed after insert or update or delete on %I
       deferrable initially deferred for each row execute function definition_changed()', defining);
  end loop;

  alter table definition_versions enable row level security;
  alter table definition_versions force row level security;
  execute format('create policy zone_isolation on definition_versions using (%s) with check (%s)', visible, visible);
  if exists (select 1 from pg_roles where rolname = 'caracalsts') then
    grant select on definition_versions to caracalsts;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert, update, delete on definition_versions to caracal_app;
  end if;
end
$$;

-- As before, and: an item that names the version (`known`) and graph epoch it was decided on is `outdated` unless
-- both still stand and the clock it was decided by is that of the database; its edges must be the rows that were
-- read, and the record presented its subject's.
create or replace function sts_issue(
  items json, guarded text[], jtis text[], holders text[], lives float8[], entries jsonb, notified text[])
returns table (n int, outcome text, fresh bool)
language plpgsql volatile as $$
declare
  held text[] := '{}';
  at timestamptz;
begin
  if cardinality(guarded) > 0 then
    held := array(
      select z from unnest(guarded) as z
      where pg_try_advisory_xact_lock_shared(hashtext('delegation:' || z)));
  end if;
  if cardinality(notified) > 0 then
    perform pg_notify('caracal_bus', stream) from unnest(notified) as stream;
  end if;
  at := clock_timestamp();
  return query
    with judged as materialized (
      select i.n, i.id, i.zone, i.type, i.subject, i.parent, i.since, i.until, i.claims,
             case
               when i.guarded and not (i.zone = any(held)) then 'busy'
               when i.known is not null and (
                 abs(extract(epoch from at) - i.since) > 2
                 or not coalesce((
                   select d.version = i.known from definition_versions d where d.zone_id = i.zone), false)
                 or coalesce((
                   select g.epoch from delegation_graph_epochs g where g.zone_id = i.zone), 0) <> i.epoch)
                 then 'outdated'
               when exists (
                 select 1
                 from json_array_elements_text(i.records) as named(id)
                 where not coalesce((
                   select a.zone_id = i.zone and a.status = 'active' and a.expires_at > at
                     and (i.known is null or a.subject_id = i.subject and a.session_type = i.type)
                   from authority_records a
                   where a.id = named.id), false))
                 then 'basis_dead'
               when exists (
                 select 1
                 from json_to_recordset(i.edges)
                   as named(id text, parent text, version int, seen text, source text, target text)
                 where not coalesce((
                   select e.zone_id = i.zone
                     and e.status = 'active'
                     and e.revoked_at is null
                     and e.expires_at > at
                     and e.edge_version = named.version
                     and (i.known is null or e.xmin::text = named.seen)
                     and e.parent_edge_id is not distinct from named.parent
                     and e.source_agent_id = named.source
                     and e.target_agent_id = named.target
                   from delegation_edges e
                   where e.id = named.id), false))
                 then 'basis_dead'
               when exists (
                 select 1
                 from json_array_elements_text(i.sessions) as named(id)
                 where not coalesce((
                   select s.zone_id = i.zone
                     and s.status = 'active'
                     and case s.lifecycle
                           when 'service' then s.heartbeat_deadline_at > at
                           else s.ttl_seconds > 0
                             and s.spawned_at + make_interval(secs => s.ttl_seconds) > at
                         end
                     and (
                       select a.zone_id = s.zone_id
                         and case a.session_type
                               when 'user' then a.status = 'active' and a.expires_at > at
                               when 'application' then a.status <> 'revoked'
                               else false
                             end
                       from authority_records a
                       where a.id = s.session_sid)
                   from agent_sessions s
                   where s.id = named.id), false))
                 then 'basis_dead'
               else 'inserted'
             end as verdict
      from json_to_recordset(items)
        as i(n int, id text, zone text, type text, subject text, parent text, since float8, until float8,
             claims jsonb, guarded bool, records json, edges json, sessions json, known text, epoch int8)
    ),
    put as (
      insert into authority_records
        (id, zone_id, session_type, subject_id, parent_id, status, expires_at, authenticated_at,
         claims_json, created_at)
      select j.id, j.zone, j.type, j.subject, j.parent, 'active', to_timestamp(j.until),
             to_timestamp(j.since), j.claims, to_timestamp(j.since)
      from judged j
      where j.verdict = 'inserted'
    ),
    registered as (
      insert into ephemera (key, value, expires_at)
      select i.jti, i.holder, now() + i.life * interval '1 millisecond'
      from unnest(jtis, holders, lives) with ordinality as i(jti, holder, life, place)
      join judged j on j.n = i.place - 1
      where j.verdict = 'inserted'
      order by i.jti
      on conflict (key) do nothing
      returning key
    ),
    told as (
      insert into bus_event (stream, payload)
      select e.entry->>1, e.entry->2
      from jsonb_array_elements(entries) with ordinality as e(entry, place)
      join judged j on j.n = (e.entry->0)::int
      where j.verdict = 'inserted'
      order by e.place
    )
    select j.n, j.verdict, exists (select from registered r where r.key = jtis[j.n + 1])
    from judged j;
end
$$;
