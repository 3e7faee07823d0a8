-- What retention deletes lies at the beginning of an index. Without one, each batch of old delegations read the whole
-- table, and from some size on none ended within the time a statement has.
create index delegation_edges_ended_idx on delegation_edges (coalesce(revoked_at, expires_at)) where status in ('revoked', 'expired');

-- Invocations were never deleted.
create index agent_invocations_ended_idx on agent_invocations (updated_at) where status not in ('pending', 'running', 'cancel_requested');
do $$
begin
  if exists (select 1 from pg_roles where rolname = 'caracalcoordinator') then
    grant delete on agent_invocations to caracalcoordinator;
  end if;
end
$$;
