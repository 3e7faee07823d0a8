-- Accounts elsewhere that sign in to an account of the console, found by the subject that never changes: an
-- address there may be given to somebody else.
create table console_identities (
  provider text not null,
  subject text not null,
  account_id text not null,
  email text,
  created_at timestamp with time zone default now() not null,
  constraint console_identities_pkey primary key (provider, subject),
  constraint console_identities_account_id_provider_key unique (account_id, provider),
  constraint console_identities_account_id_fkey foreign key (account_id) references console_accounts (id) on delete cascade,
  constraint console_identities_provider_check check (provider in ('google', 'github'))
);

-- Who unlinked once says from then on what is linked: an identity with the same address does not come back by itself.
alter table console_accounts add column links_by_hand boolean not null default false;

do $$
begin
  if exists (select 1 from pg_roles where rolname = 'caracalapi') then
    grant select, insert, update, delete on console_identities to caracalapi;
  end if;
  if exists (select 1 from pg_roles where rolname = 'caracal_app') then
    grant select, insert, update, delete on console_identities to caracal_app;
  end if;
end
$$;
