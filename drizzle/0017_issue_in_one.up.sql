-- The write of an exchange, as one statement behind its locks: the record, the one-use registration of its
-- mandate and the evidence of its decision, for any number of exchanges. What was not inserted leaves nothing.
-- Before, one function called the other and the items were read twice, which a single exchange paid for.
-- The older pair stays for replicas that have not been restarted yet.
-- `guarded` are the zones of items that rest on something: their locks are taken, in a statement before, where
-- nobody need wait; the items of the others are `busy`. `jtis`, `holders` and `lives` (milliseconds) have one
-- element for each item, in order, or none. `entries` are [item, stream, fields], apart from the items because
-- they are long; `notified` are streams. One statement names all tables, so that the lock of bus_event is held
-- before a transaction id is drawn: the order of the bus rests on it.
-- Every look-up is by primary key alone: with the zone in the condition the planner may choose any index that
-- begins with the zone, and would walk all records of that zone; the zone is compared on the row found.
create function sts_issue(
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
      from json_to_recordset(items)
        as i(n int, id text, zone text, type text, subject text, parent text, since float8, until float8,
             claims jsonb, guarded bool, records json, edges json, sessions json)
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
