-- Sessions are listed by label. Under forced row security no plan may narrow by an operator on arrays, so each
-- label of a session is a row here, in the order of either list. Labels never change; a session takes its rows along.
create table agent_session_labels (
  zone_id text not null,
  label text not null,
  session_id text not null,
  spawned_at timestamp with time zone not null,
  constraint agent_session_labels_pkey primary key (zone_id, label, session_id)
);
create index agent_session_labels_keyset_idx on agent_session_labels (zone_id, label, spawned_at desc nulls last, session_id desc nulls last);

insert into agent_session_labels (zone_id, label, session_id, spawned_at)
select distinct s.zone_id, named.label, s.id, s.spawned_at
from agent_sessions s
cross join unnest(s.labels) as named(label);

do $$
declare
  visible constant text :=
    $sql$case when current_setting('caracal.zone_id', true) = '*' then true else zone_id = any (string_to_array(current_setting('caracal.zone_id', true), ',')) end$sql$;
begin
  alter table agent_session_labels enable row level security;
  alter table agent_session_labels force row level security;
  execute format('create policy zone_isolation on agent_session_labels using (%s) with check (%s)', visible, visible);

  if exists (select 1 from pg_roles where rolname = 'caracalcoordinator') then
    grant select, insert, delete on agent_session_labels to caracalcoordinator;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant select on agent_session_labels to caracalapi;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert, update, delete on agent_session_labels to caracal_app;
  end if;
end
$$;
