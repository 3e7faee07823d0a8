-- Subjects are listed with sums over their authority records. Records that have ended are summed up here, by the
-- reaper that ends them and nobody else, so that no mint and no revocation waits for a row of a busy subject; what
-- is still active, or ended since, is added when the list is read. `tally` says of a record: `due`, not in the
-- sums yet; `done`; `revocation_due`, in the sums as expired and revoked since.
create table subjects (
  zone_id text not null,
  subject_id text not null,
  records bigint not null,
  revoked bigint not null,
  first_seen timestamp with time zone not null,
  last_seen timestamp with time zone not null,
  last_revoked_at timestamp with time zone,
  federated boolean not null,
  issuer text,
  constraint subjects_pkey primary key (zone_id, subject_id)
);
create index subjects_keyset_idx on subjects (zone_id, last_seen desc nulls last, subject_id desc nulls last);

-- A constant default rewrites nothing.
alter table authority_records add column tally text not null default 'done';
alter table authority_records alter column tally set default 'due';
update authority_records set tally = 'due' where status = 'active';
create index authority_records_untold_idx on authority_records (zone_id, subject_id) where status <> 'active' and tally <> 'done';

insert into subjects (zone_id, subject_id, records, revoked, first_seen, last_seen, last_revoked_at, federated, issuer)
select zone_id, subject_id, count(*), count(*) filter (where status = 'revoked'), min(created_at), max(created_at),
       max(revoked_at), coalesce(bool_or(claims_json ? 'iss'), false), max(claims_json->>'iss')
from authority_records
where status <> 'active' and subject_id is not null
group by zone_id, subject_id;

do $$
declare
  visible constant text :=
    $sql$case when current_setting('caracal.zone_id', true) = '*' then true else zone_id = any (string_to_array(current_setting('caracal.zone_id', true), ',')) end$sql$;
begin
  alter table subjects enable row level security;
  alter table subjects force row level security;
  execute format('create policy zone_isolation on subjects using (%s) with check (%s)', visible, visible);

  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant select, insert, update on subjects to caracalapi;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert, update, delete on subjects to caracal_app;
  end if;
end
$$;
