-- Every exchange writes a record. Those that ran out long ago are deleted, oldest first.
create index authority_records_ended_idx on authority_records (expires_at) where status <> 'active' and tally = 'done';

do $$
begin
  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant delete on authority_records to caracalapi;
  end if;
end
$$;
