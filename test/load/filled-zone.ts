/**
 * Fills one zone with `rows` rows in each of the tables asked for, by `insert … select generate_series`.
 * Whatever a list can be narrowed by has a `rare` value that a hundred rows of the zone carry, spread
 * evenly, whatever the size of the zone.
 */
import type postgres from 'postgres'

export type FilledTable =
  | 'applications'
  | 'workloads'
  | 'providers'
  | 'resources'
  | 'policies'
  | 'policy_sets'
  | 'delegated_grants'
  | 'provider_connections'
  | 'service_accounts'
  | 'api_keys'
  | 'roles'
  | 'role_bindings'
  | 'admin_audit_events'
  | 'authority_records'
  | 'subjects'
  | 'agent_sessions'
  | 'agent_session_labels'
  | 'delegation_edges'
  | 'agent_invocations'
  | 'step_up_challenges'
  | 'audit_events'
  | 'audit_event_labels'

/** Rows that carry a rare value: one full page. */
export const rareRows = 100

/** The id of row `n` of a table; ids of two tables never mix. */
export function rowId(zone: string, table: string, n: number): string {
  return `${zone}-${table}-${String(n).padStart(8, '0')}`
}

/** Foreign keys and append-only triggers rest while the rows are written: they are made to agree. */
export async function fillZone(
  sql: postgres.Sql,
  zone: string,
  rows: number,
  tables: ReadonlySet<FilledTable>,
): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`set local synchronous_commit = off`
    await tx`insert into zones (id, name, slug) values (${zone}, ${zone}, ${zone})`
    const series = tx`generate_series(0, ${rows - 1}::int) as n`
    const id = (table: string) => tx`${`${zone}-${table}-`} || lpad(n::text, 8, '0')`
    /** Every value is carried by a hundred rows, as a user or a session has them; one of them is 'rare'. */
    const spread = tx`case n % ${rows / rareRows}::int when 0 then 'rare' else 'v' || n % ${rows / rareRows}::int end`
    /** Half of the rows have one value, as the one busy application of a zone has them. */
    const skewed = tx`case when n % 2 = 1 then 'busy' else ${spread} end`
    /** Newest last, as they come; some share an instant. */
    const at = tx`now() - make_interval(secs => (${rows}::int - n) / 4 * 0.01)`

    const fill: Readonly<Record<FilledTable, () => Promise<unknown>>> = {
      applications:
        () => tx`insert into applications (id, zone_id, name, registration_method, created_at, archived_at)
      select ${id('application')}, ${zone}, 'a' || n, 'managed', ${at}, case when n % 10 = 0 then now() end from ${series}`,
      workloads: () => tx`insert into workloads (id, zone_id, name, secret_hash, created_at)
      select ${id('workload')}, ${zone}, 'w' || n, 'x', ${at} from ${series}`,
      providers: () => tx`insert into providers (id, zone_id, name, identifier, provider_kind, created_at)
      select ${id('provider')}, ${zone}, 'p' || n, 'p' || n, 'none', ${at} from ${series}`,
      resources:
        () => tx`insert into resources (id, zone_id, name, identifier, credential_provider_id, created_at)
      select ${id('resource')}, ${zone}, 'r' || n, 'r' || n, ${id('provider')}, ${at} from ${series}`,
      policies: () => tx`insert into policies (id, zone_id, name, created_by, created_at)
      select ${id('policy')}, ${zone}, 'p' || n, 't', ${at} from ${series}`,
      policy_sets: () => tx`insert into policy_sets (id, zone_id, name, created_by, created_at)
      select ${id('set')}, ${zone}, 's' || n, 't', ${at} from ${series}`,
      delegated_grants:
        () => tx`insert into delegated_grants (id, zone_id, application_id, user_id, resource_id, scopes, status, created_at)
      select ${id('grant')}, ${zone}, ${skewed}, ${spread}, ${id('resource')}, '{s}',
        case when n % ${rows / rareRows}::int = 0 then 'revoked' else 'active' end, ${at} from ${series}`,
      provider_connections:
        () => tx`insert into provider_connections (id, zone_id, subject_id, provider_id, status, created_at)
      select ${id('connection')}, ${zone}, ${spread}, ${spread}, 'revoked', ${at} from ${series}`,
      service_accounts:
        () => tx`insert into service_accounts (id, zone_id, username, password_hash, status, created_by, created_at)
      select ${id('account')}, ${zone}, ${zone} || n, 'h',
        case when n % ${rows / rareRows}::int = 0 then 'inactive' else 'active' end, 't', ${at} from ${series}`,
      api_keys:
        () => tx`insert into api_keys (id, name, prefix, zone_id, service_account_id, secret_hash, created_by, created_at)
      select ${id('key')}, 'k', 'p', ${zone}, ${spread}, 'h', 't', ${at} from ${series}`,
      roles: () => tx`insert into roles (id, zone_id, name, rules, created_by, created_at)
      select ${id('role')}, ${zone}, 'r' || n, '[]', 't', ${at} from ${series}`,
      role_bindings:
        () => tx`insert into role_bindings (id, role_id, subject_kind, subject_id, zone_id, created_by, created_at)
      select ${id('binding')}, ${id('role')}, 'service_account', ${spread}, ${zone}, 't', ${at} from ${series}`,
      admin_audit_events: () => tx`insert into admin_audit_events
        (id, request_id, actor_id, action, method, path, zone_id, entity_type, entity_id, status_code, occurred_at, chain_seq)
      select ${id('act')}, 'r' || n, ${spread}, 'a', case when n % 2 = 0 then 'POST' else 'PATCH' end, '/',
        ${zone}, 'application', ${spread}, 200, ${at}, n + 1 from ${series}`,
      authority_records: () => tx`insert into authority_records
        (id, zone_id, session_type, subject_id, status, tally, expires_at, authenticated_at, created_at, revoked_at)
      select ${id('record')}, ${zone}, case when n % 4 = 0 then 'user' else 'application' end,
        case when n % 2 = 1 then 'busy' when n % ${rows / rareRows}::int = 0 then 'rare' else 'u' || n end,
        case when n % ${rows / rareRows}::int = 0 then 'active' else 'expired' end,
        case when n % ${rows / rareRows}::int = 0 then 'due' else 'done' end,
        now() + interval '1 hour', ${at}, ${at}, null from ${series}`,
      subjects: () => tx`insert into subjects
        (zone_id, subject_id, records, revoked, first_seen, last_seen, federated)
      select zone_id, subject_id, count(*), 0, min(created_at), max(created_at), false
      from authority_records where zone_id = ${zone} and tally = 'done' group by zone_id, subject_id`,
      agent_sessions: () => tx`insert into agent_sessions
        (id, zone_id, application_id, session_sid, parent_id, status, labels, spawned_at, created_at, terminated_at, termination_reason)
      select ${id('session')}, ${zone}, ${skewed}, ${id('record')}, ${spread},
        case when n % ${rows / rareRows}::int = 0 then 'active' else 'terminated' end,
        array[${spread}, 'all'], ${at}, ${at},
        case when n % ${rows / rareRows}::int <> 0 then now() end, 'requested' from ${series}`,
      agent_session_labels: () => tx`insert into agent_session_labels (zone_id, label, session_id, spawned_at)
      select s.zone_id, named.label, s.id, s.spawned_at from agent_sessions s, unnest(s.labels) as named(label)
      where s.zone_id = ${zone}`,
      delegation_edges: () => tx`insert into delegation_edges
        (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, status, expires_at, created_at)
      select ${id('edge')}, ${zone}, ${spread}, ${spread} || '-target', 'a', 'b',
        case when n % ${rows / rareRows}::int = 0 then 'active' else 'expired' end, now() + interval '1 hour', ${at}
      from ${series}`,
      agent_invocations: () => tx`insert into agent_invocations
        (id, zone_id, service_id, source_session_id, idempotency_key, method, request_digest, status, created_at)
      select ${id('invocation')}, ${zone}, ${spread}, ${spread}, n::text, 'm', sha256('x'),
        case when n % ${rows / rareRows}::int = 0 then 'pending' else 'succeeded' end, ${at} from ${series}`,
      step_up_challenges: () => tx`insert into step_up_challenges
        (id, zone_id, session_id, challenge_type, created_at, expires_at, principal_id, resource_set_hash, tier, rejected_at)
      select ${id('challenge')}, ${zone}, 's' || n, 'human_approval', ${at}, now() + interval '1 hour', ${spread},
        sha256(n::text::bytea), ${spread}, case when n % ${rows / rareRows}::int <> 0 then now() end from ${series}`,
      audit_events:
        () => tx`insert into audit_events (id, zone_id, event_type, request_id, decision, occurred_at, chain_seq, metadata_json)
      select ${id('event')}, ${zone}, case when n % ${rows / rareRows}::int = 0 then 'approval' else 'token_exchange' end,
        ${zone} || '-' || n / 4, case when n % ${rows / rareRows}::int = 0 then 'deny' else 'allow' end, ${at}, n + 1,
        jsonb_build_object('application_id', ${skewed}, 'agent_session_id', ${zone} || ${spread},
          'session_id', ${zone} || ${spread}, 'agent_labels', jsonb_build_array(${spread}, 'all'))
      from ${series}`,
      audit_event_labels: () => tx`insert into audit_event_labels (zone_id, label, occurred_at, event_id)
      select e.zone_id, named.label, e.occurred_at, e.id
      from audit_events e, jsonb_array_elements_text(e.metadata_json->'agent_labels') as named(label)
      where e.zone_id = ${zone}`,
    }
    for (const [table, filled] of Object.entries(fill)) if (tables.has(table as FilledTable)) await filled()
  })
}
