-- The same rows as before (storage-and-operations §4), said in a way the planner can estimate. Of
-- "setting = '*' or zone = any (…)" it expects one row in two hundred and reads a whole zone to sort
-- what it takes for a handful; of a case expression it expects half.
do $$
declare
  zone_table text;
  visible constant text :=
    $sql$case when current_setting('caracal.zone_id', true) = '*' then true else %s = any (string_to_array(current_setting('caracal.zone_id', true), ',')) end$sql$;
  expression text;
begin
  for zone_table in select tablename from pg_policies where schemaname = 'public' and policyname = 'zone_isolation' loop
    expression := case zone_table
      when 'zones' then format(visible, 'id')
      when 'policy_versions' then format(
        'exists (select 1 from policies p where p.id = policy_versions.policy_id and (%s))',
        format(visible, 'p.zone_id'))
      when 'policy_set_versions' then format(
        'exists (select 1 from policy_sets s where s.id = policy_set_versions.policy_set_id and (%s))',
        format(visible, 's.zone_id'))
      else format(visible, 'zone_id')
    end;
    execute format('alter policy zone_isolation on %I using (%s) with check (%s)', zone_table, expression, expression);
  end loop;
end
$$;
