-- As before, but the one use of a mandate may be claimed by the write of its exchange, and nothing registers the id
-- of a mandate any more: it is spelled from the id of its record, whose primary key knows it (`fresh`). The older
-- function stays for replicas that have not been restarted yet.
-- `uses` are the marks in the replay memory that must be new, `null` where somebody made them before: [n, key,
-- holder, life (milliseconds), minted (Unix seconds)] for each item that brings one. An item whose mark was there is
-- `replayed`, one whose mandate is not younger than the memory `predates_memory`; the mark is made whatever else
-- becomes of its item. The lock comes first, so that no transaction id is drawn before it is held.
create function sts_issue(items json, guarded text[], uses json, entries jsonb, notified text[])
returns table (n int, outcome text, fresh bool)
language plpgsql volatile as $$
declare
  held text[] := '{}';
  denied int[] := '{}';
  denials text[] := '{}';
  at timestamptz;
begin
  if uses is not null then
    lock table bus_event in row exclusive mode;
    with claim as materialized (
      select c.n, c.key, c.holder, c.life, c.minted
      from json_to_recordset(uses) as c(n int, key text, holder text, life float8, minted float8)
    ),
    taken as (
      insert into ephemera (key, value, expires_at)
      select distinct on (c.key) c.key, c.holder, now() + c.life * interval '1 millisecond'
      from claim c order by c.key, c.n
      on conflict (key) do update
      set value = excluded.value, counter = 0, expires_at = excluded.expires_at
      where ephemera.expires_at <= now()
      returning key
    ),
    judged as (
      select c.n, case
        when c.minted * 1000 > coalesce((
          select e.value::float8 from ephemera e where e.key = 'caracal:replay:birth'), 'infinity')
          then case
            when not exists (select from taken t where t.key = c.key)
              or exists (select from claim d where d.key = c.key and d.n < c.n)
              then 'replayed'
          end
        else 'predates_memory'
      end as denial
      from claim c
    )
    select coalesce(array_agg(j.n), '{}'), coalesce(array_agg(j.denial), '{}')
    into denied, denials
    from judged j where j.denial is not null;
  end if;
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
               when i.n = any(denied) then denials[array_position(denied, i.n)]
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
      on conflict (id) do nothing
      returning id
    ),
    told as (
      insert into bus_event (stream, payload)
      select e.entry->>1, e.entry->2
      from jsonb_array_elements(entries) with ordinality as e(entry, place)
      join judged j on j.n = (e.entry->0)::int
      where j.verdict = 'inserted'
      order by e.place
    )
    select j.n, j.verdict, exists (select from put p where p.id = j.id)
    from judged j;
end
$$;
