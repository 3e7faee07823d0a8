-- Authority records of concurrent exchanges in one round trip. A guarded item rests on a graph: it is
-- inserted only while the lock `delegation:<zone>` is held in shared mode and all it rests on is alive.
-- Each statement of a volatile function reads with a snapshot of its own, so the second one sees whatever
-- was committed before the locks were granted, and nothing it read can change before this commit.
-- What a basis names is looked up key by key, whatever the planner thinks of the size of the lists.
-- Locks are never waited for here: items of a zone whose graph is being changed are answered `busy`.
create function sts_issue_records(items json) returns table (n int, outcome text)
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
                   select a.status = 'active' and a.expires_at > at
                   from authority_records a
                   where a.id = named.id and a.zone_id = i.zone), false))
                 then 'basis_dead'
               when exists (
                 select 1
                 from json_to_recordset(i.edges)
                   as named(id text, parent text, version int, source text, target text)
                 where not coalesce((
                   select e.status = 'active'
                     and e.revoked_at is null
                     and e.expires_at > at
                     and e.edge_version = named.version
                     and e.parent_edge_id is not distinct from named.parent
                     and e.source_agent_id = named.source
                     and e.target_agent_id = named.target
                   from delegation_edges e
                   where e.id = named.id and e.zone_id = i.zone), false))
                 then 'basis_dead'
               when exists (
                 select 1
                 from json_array_elements_text(i.sessions) as named(id)
                 where not coalesce((
                   select s.status = 'active'
                     and case s.lifecycle
                           when 'service' then s.heartbeat_deadline_at > at
                           else s.ttl_seconds > 0
                             and s.spawned_at + make_interval(secs => s.ttl_seconds) > at
                         end
                     and (
                       select case a.session_type
                                when 'user' then a.status = 'active' and a.expires_at > at
                                when 'application' then a.status <> 'revoked'
                                else false
                              end
                       from authority_records a
                       where a.id = s.session_sid and a.zone_id = s.zone_id)
                   from agent_sessions s
                   where s.id = named.id and s.zone_id = i.zone), false))
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
