-- Until a table has statistics, all its indexes that begin with the zone cost the planner the same, and of equals
-- it takes the youngest. Checks of foreign keys would then walk all rows of a zone, and keep that plan while
-- the table grows. So the key (zone_id, id) of the tables that are referred to all the time is made the youngest.
do $$
declare
  hot text;
  own text;
  referring record;
  restore text[];
  statement text;
begin
  foreach hot in array array['authority_records', 'agent_sessions', 'delegation_edges', 'applications'] loop
    select c.conname into strict own
    from pg_constraint c
    where c.conrelid = hot::regclass and c.contype = 'u'
      and pg_get_constraintdef(c.oid) = 'UNIQUE (zone_id, id)';
    restore := '{}';
    for referring in
      select c.conname, c.conrelid::regclass::text as from_table, pg_get_constraintdef(c.oid) as definition
      from pg_constraint c
      join pg_constraint u on u.conrelid = hot::regclass and u.conname = own and u.conindid = c.conindid
      where c.contype = 'f' and c.confrelid = hot::regclass and c.conparentid = 0
    loop
      execute format('alter table %s drop constraint %I', referring.from_table, referring.conname);
      restore := restore || format('alter table %s add constraint %I %s', referring.from_table, referring.conname,
                                   referring.definition);
    end loop;
    execute format('alter table %I drop constraint %I', hot, own);
    execute format('alter table %I add constraint %I unique (zone_id, id)', hot, own);
    foreach statement in array restore loop
      execute statement;
    end loop;
  end loop;
end
$$;
