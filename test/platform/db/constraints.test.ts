/** What the schema itself refuses (storage-and-operations §3, checks 12, 13, 16 and 17). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sql } from '../../../src/platform/db/port.ts'
import { violatedConstraint } from '../../../src/platform/db/unavailable.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { seedZone } from './seed-zone.ts'

let database: TestDatabase
let sql: Sql
beforeAll(async () => {
  database = await createTestDatabase()
  sql = database.db.sql
  await seedZone(database.admin, 'a')
  await seedZone(database.admin, 'b')
})
afterAll(() => database[Symbol.asyncDispose]())

/** SQLSTATE and constraint a statement is refused with. */
async function refusal(statement: PromiseLike<unknown>): Promise<[unknown, string | null] | 'accepted'> {
  try {
    await statement
    return 'accepted'
  } catch (error) {
    return [(error as { code?: unknown }).code, violatedConstraint(error)]
  }
}

describe('check 12: a row of one zone never refers to a row of another', () => {
  test('resource and provider', async () => {
    const insert = sql`
      insert into resources (id, zone_id, name, identifier, credential_provider_id) values ('x', 'a', 'x', 'x', 'b-provider')`
    expect(await refusal(insert)).toEqual(['23503', 'resources_credential_provider_fkey'])
  })

  test('agent session with its parent, authority record and application', async () => {
    const session = (parent: string | null, sid: string, application: string) => sql`
      insert into agent_sessions (id, zone_id, application_id, session_sid, parent_id) values ('x', 'a', ${application}, ${sid}, ${parent})`
    expect(await refusal(session('b-session', 'a-record', 'a-app'))).toEqual([
      '23503',
      'agent_sessions_parent_fkey',
    ])
    expect(await refusal(session(null, 'b-record', 'a-app'))).toEqual([
      '23503',
      'agent_sessions_session_sid_fkey',
    ])
    expect(await refusal(session(null, 'a-record', 'b-app'))).toEqual([
      '23503',
      'agent_sessions_application_fkey',
    ])
  })

  test('delegation edge with its agents, resource and parent', async () => {
    for (const column of ['source_agent_id', 'target_agent_id']) {
      const update = sql`update delegation_edges set ${sql({ [column]: 'b-session' })} where id = 'a-edge'`
      expect(await refusal(update)).toMatchObject(['23503', expect.any(String)])
    }
    expect(
      await refusal(sql`update delegation_edges set resource_id = 'b-resource' where id = 'a-edge'`),
    ).toEqual(['23503', 'delegation_edges_resource_fkey'])
    expect(
      await refusal(sql`update delegation_edges set parent_edge_id = 'b-edge' where id = 'a-edge'`),
    ).toEqual(['23503', 'delegation_edges_parent_edge_fkey'])
  })

  test('invocation, grant, connection, binding and role binding', async () => {
    expect(
      await refusal(
        sql`update agent_invocations set source_session_id = 'b-session' where id = 'a-invocation'`,
      ),
    ).toEqual(['23503', 'agent_invocations_source_session_fkey'])
    expect(
      await refusal(sql`update delegated_grants set resource_id = 'b-resource' where id = 'a-grant'`),
    ).toEqual(['23503', 'delegated_grants_resource_fkey'])
    expect(
      await refusal(
        sql`update provider_connections set provider_id = 'b-provider' where id = 'a-connection'`,
      ),
    ).toEqual(['23503', 'provider_connections_provider_fkey'])
    expect(
      await refusal(
        sql`update policy_set_bindings set active_version_id = 'b-set-version' where zone_id = 'a'`,
      ),
    ).toEqual(['23503', 'policy_set_bindings_active_version_fkey'])
  })
})

describe('check 13: what is unique', () => {
  test('one active policy set for each zone', async () => {
    await sql`insert into policy_sets (id, zone_id, name, created_by) values ('a-set-2', 'a', 'second', 't')`
    await sql`
      insert into policy_set_versions (id, policy_set_id, version, manifest_json, manifest_sha256, schema_version, created_by)
      values ('a-set-2-v1', 'a-set-2', 1, '[]', 'h', 's', 't')`
    await sql`insert into policy_set_bindings (zone_id, policy_set_id) values ('a', 'a-set-2')`
    const activate = sql`update policy_set_bindings set active_version_id = 'a-set-2-v1' where policy_set_id = 'a-set-2'`
    expect(await refusal(activate)).toEqual(['23505', 'policy_set_bindings_active_key'])
  })

  test('an invocation by zone, service and idempotency key', async () => {
    const again = sql`
      insert into agent_invocations (id, zone_id, service_id, idempotency_key, method, request_digest)
      values ('x', 'a', 'a-service', 'k', 'm', ${Buffer.alloc(32)})`
    expect(await refusal(again)).toEqual([
      '23505',
      'agent_invocations_zone_id_service_id_idempotency_key_key',
    ])
  })

  test('a zone by its slug', async () => {
    expect(await refusal(sql`insert into zones (id, name, slug) values ('c', 'c', 'a')`)).toEqual([
      '23505',
      'zones_slug_key',
    ])
  })

  test('names of a zone only while active', async () => {
    const policy = (id: string) =>
      sql`insert into policies (id, zone_id, name, created_by) values (${id}, 'a', 'same', 't')`
    await policy('same-1')
    expect(await refusal(policy('same-2'))).toEqual(['23505', 'policies_zone_id_name_key'])
    await sql`update policies set archived_at = now() where id = 'same-1'`
    expect(await refusal(policy('same-2'))).toBe('accepted')
  })

  test('open challenges and deployment-wide roles count nulls as equal', async () => {
    const challenge = (id: string) => sql`
      insert into step_up_challenges (id, zone_id, challenge_type, expires_at, session_id, principal_id)
      values (${id}, 'b', 'human_approval', now(), '', 'p')`
    await challenge('c1')
    expect(await refusal(challenge('c2'))).toEqual(['23505', 'step_up_challenges_open_key'])
    await sql`update step_up_challenges set consumed_at = now() where id = 'c1'`
    expect(await refusal(challenge('c2'))).toBe('accepted')

    const role = (id: string) =>
      sql`insert into roles (id, name, rules, created_by) values (${id}, 'admin', '[]', 't')`
    await role('r1')
    expect(await refusal(role('r2'))).toEqual(['23505', 'roles_zone_id_name_key'])
  })

  test('an event of the outbox by producer, topic and key', async () => {
    const event = () => sql`
      insert into caracal_outbox (id, producer, topic, dedupe_key, payload_json)
      values (gen_random_uuid()::text, 'sts', 't', 'k', '{}')
      on conflict (producer, topic, dedupe_key) do nothing`
    expect((await event()).count).toBe(1)
    expect((await event()).count).toBe(0)
  })
})

describe('check 16 and the other checks of a row', () => {
  test('an edge joins two sessions, and is revoked exactly when it says when', async () => {
    expect(
      await refusal(sql`update delegation_edges set target_agent_id = source_agent_id where id = 'a-edge'`),
    ).toEqual(['23514', 'delegation_edges_distinct_agents_check'])
    expect(await refusal(sql`update delegation_edges set status = 'revoked' where id = 'a-edge'`)).toEqual([
      '23514',
      'delegation_edges_revoked_check',
    ])
    expect(await refusal(sql`update delegation_edges set revoked_at = now() where id = 'a-edge'`)).toEqual([
      '23514',
      'delegation_edges_revoked_check',
    ])
  })

  test.each([
    [`set ttl_seconds = null`, 'agent_sessions_lifecycle_check'],
    [`set ttl_seconds = 0`, 'agent_sessions_lifecycle_check'],
    [`set last_heartbeat_at = now()`, 'agent_sessions_lifecycle_check'],
    [`set lifecycle = 'service', ttl_seconds = null`, 'agent_sessions_lifecycle_check'],
    [`set status = 'terminated'`, 'agent_sessions_terminated_check'],
    [`set terminated_at = now()`, 'agent_sessions_terminated_check'],
    [`set lease_generation = -1`, 'agent_sessions_lease_generation_check'],
    [`set status = 'gone'`, 'agent_sessions_status_check'],
  ])('agent session: %s', async (change, constraint) => {
    expect(await refusal(sql.unsafe(`update agent_sessions ${change} where id = 'a-session'`))).toEqual([
      '23514',
      constraint,
    ])
  })

  test.each([
    [
      "insert into admin_tokens (id, name, token_lookup, scope, zone_id, created_by) values ('x', 'x', 'x', 'global', 'a', 't')",
      'admin_tokens_scope_zone_check',
    ],
    [
      "insert into admin_tokens (id, name, token_lookup, scope, created_by) values ('x', 'x', 'x', 'zone', 't')",
      'admin_tokens_scope_zone_check',
    ],
    [
      "insert into applications (id, zone_id, name, registration_method) values ('x', 'a', 'x', 'dcr')",
      'applications_dcr_expires_check',
    ],
    [
      "update notification_sinks set event_types = '{}' where id = 'a-sink'",
      'notification_sinks_event_types_check',
    ],
    [
      "update agent_invocations set request_digest = 'short' where id = 'a-invocation'",
      'agent_invocations_request_digest_check',
    ],
    [
      "insert into console_accounts (id, email) values ('x', 'Upper@example.com')",
      'console_accounts_email_check',
    ],
    ['insert into audit_retention (retention_days) values (0)', 'audit_retention_retention_days_check'],
    [
      "insert into deployment (singleton, bus_driver, ephemera_driver) values (false, 'redis', 'redis')",
      'deployment_singleton_check',
    ],
    [
      "update coordinator_idempotency_receipts set expires_at = created_at where id = 'a-receipt'",
      'coordinator_idempotency_receipts_expires_check',
    ],
    [
      "update coordinator_idempotency_receipts set response_json = to_jsonb(repeat('x', 65536)) where id = 'a-receipt'",
      'coordinator_idempotency_receipts_response_check',
    ],
  ])('%s', async (statement, constraint) => {
    expect(await refusal(sql.unsafe(statement))).toEqual(['23514', constraint])
  })
})

test('check 17: deleting a session keeps its invocations and their zone, and nulls the reference', async () => {
  await sql`delete from agent_sessions where id in ('b-session', 'b-session-2')`
  const [invocation] = await sql`
    select zone_id, source_session_id, target_session_id from agent_invocations where id = 'b-invocation'`
  expect(invocation).toEqual({ zone_id: 'b', source_session_id: null, target_session_id: null })
  const [service] = await sql`select zone_id, agent_session_id from agent_services where id = 'b-service'`
  expect(service).toEqual({ zone_id: 'b', agent_session_id: null })
  expect(await sql`select id from delegation_edges where id = 'b-edge'`).toHaveLength(0)
})

test('the end of a parent edge leaves its children, without a parent', async () => {
  await sql`
    insert into delegation_edges (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, expires_at, parent_edge_id)
    values ('a-child', 'a', 'a-session-2', 'a-session', 'a-app', 'a-app', now() + interval '1 hour', 'a-edge')`
  await sql`delete from delegation_edges where id = 'a-edge'`
  const [child] = await sql`select zone_id, parent_edge_id from delegation_edges where id = 'a-child'`
  expect(child).toEqual({ zone_id: 'a', parent_edge_id: null })
})
