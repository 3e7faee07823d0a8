-- The same rules as before, with every look-up by primary key alone. With the zone in the condition the
-- planner may choose any index that begins with the zone, and would walk all records of that zone; the zone
-- is compared on the row that was found.
create or replace function sts_issue_records(items json) returns table (n int, outcome text)
language plpgsql volatile as $$
declare
  held text[];
  at timestamptz;
begin
  select coalesce(array_agg(wanted.zone), '{}')
  into held
  from (
    select distinct r.zone
    from json_to_recordset(items) as r(zone text, guarded bool)
    where r.guarded
  ) wanted
  where pg_try_advisory_xact_lock_shared(hashtext('delegation:' || wanted.zone));
  at := clock_timestamp();
  return query
    with item as materialized (
      select r.*
      from json_to_recordset(items)
        as r(n int, id text, zone text, type text, subject text, parent text, since float8, until float8,
             claims jsonb, guarded bool, records json, edges json, sessions json)
    ),
    judged as materialized (
      select i.*,
             case
               when i.guarded and not (i.zone = any(held)) then 'busy'
               when exists (
                 select 1
                 from json_array_elements_text(i.records) as named(id)
                 where not coalesce((
                   select a.zone_id = i.zone and a.status = 'active' and a.expires_at > at
                   from authority_records a
                   where a.id = named.id), false))
                 then 'basis_dead'
               when exists (
                 select 1
                 from json_to_recordset(i.edges)
                   as named(id text, parent text, version int, source text, target text)
                 where not coalesce((
                   select e.zone_id = i.zone
                     and e.status = 'active'
                     and e.revoked_at is null
                     and e.expires_at > at
                     and e.edge_version = named.version
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
      from item i
    ),
    put as (
      insert into authority_records
        (id, zone_id, session_type, subject_id, parent_id, status, expires_at, authenticated_at,
         claims_json, created_at)
      select j.id, j.zone, j.type, j.subject, j.parent, 'active', to_timestamp(j.until),
             to_timestamp(j.since), j.claims, to_timestamp(j.since)
      from judged j
      where j.verdict = 'inserted'
    )
    select j.n, j.verdict from judged j;
end
$$;
-- The whole write of an exchange where store, bus and ephemera are one: the record, the id of its mandate and
-- the evidence of its decision commit together, in one round trip. What was not inserted leaves nothing.
-- One statement names all tables, so that the lock of bus_event is held before a transaction id is drawn:
-- the order of the bus rests on it.
-- `items` as above. `jtis`, `holders` and `lives` (milliseconds) have one element for each item, in order.
-- `entries` are [item, stream, fields], apart from the items because they are long; `notified` are streams.
create function sts_issue(items json, jtis text[], holders text[], lives float8[], entries jsonb, notified text[])
returns table (n int, outcome text, fresh bool)
language plpgsql volatile as $$
begin
  perform pg_notify('caracal_bus', stream) from unnest(notified) as stream;
  return query
    with judged as materialized (
      select v.n, v.outcome from sts_issue_records(items) v
    ),
    registered as (
      insert into ephemera (key, value, expires_at)
      select i.jti, i.holder, now() + i.life * interval '1 millisecond'
      from unnest(jtis, holders, lives) with ordinality as i(jti, holder, life, at)
      join judged j on j.n = i.at - 1
      where j.outcome = 'inserted'
      order by i.jti
      on conflict (key) do nothing
      returning key
    ),
    told as (
      insert into bus_event (stream, payload)
      select e.entry->>1, e.entry->2
      from jsonb_array_elements(entries) with ordinality as e(entry, at)
      join judged j on j.n = (e.entry->0)::int
      where j.outcome = 'inserted'
      order by e.at
    )
    select j.n, j.outcome, exists (select from registered r where r.key = jtis[j.n + 1])
    from judged j;
end
$$;
