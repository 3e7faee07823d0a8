import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { adminToken, createStage, type Send, type Stage } from '../../roles/control/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const outcome = async (answer: ReturnType<Send>) => {
  const { status, body } = await answer
  return [status, body?.error]
}

async function mint(body: Record<string, unknown>): Promise<{ id: string; token: string; send: Send }> {
  const answer = await stage.send('POST', '/v1/admin-tokens', { name: 't', ...body })
  if (answer.status !== 201) throw new Error(answer.text)
  const { id, token } = answer.body
  return {
    id,
    token,
    send: (method, path, input, options) => stage.send(method, path, input, { token, ...options }),
  }
}

async function application(zone: string, name = `app ${uuidv7()}`): Promise<string> {
  const made = await stage.send('POST', `/v1/zones/${zone}/applications`, {
    name,
    registration_method: 'managed',
  })
  return made.body.id
}

async function record(
  zone: string,
  subject: string,
  type: 'user' | 'application',
  parent: string | null = null,
) {
  const id = uuidv7()
  await stage.database.admin`
    insert into authority_records (id, zone_id, session_type, subject_id, parent_id, expires_at, authenticated_at)
    values (${id}, ${zone}, ${type}, ${subject}, ${parent}, now() + interval '1 hour', now())`
  return id
}

async function session(zone: string, app: string, sid: string, parent: string | null = null) {
  const id = uuidv7()
  await stage.database.admin`
    insert into agent_sessions (id, zone_id, application_id, session_sid, parent_id, labels)
    values (${id}, ${zone}, ${app}, ${sid}, ${parent}, ${['team:a']})`
  await stage.database.admin`
    insert into agent_session_labels (zone_id, label, session_id, spawned_at)
    select zone_id, 'team:a', id, spawned_at from agent_sessions where id = ${id}`
  return id
}

const heldFor = '{"agent_session_id":"as-1","delegation_edge_id":"edge-1","agent_labels":["team:a"]}'

async function hold(zone: string, app: string, approver: 'operator' | 'subject' | 'any', seconds = 600) {
  const id = uuidv7()
  await stage.database.admin`
    insert into step_up_challenges
      (id, zone_id, session_id, challenge_type, metadata_json, expires_at, principal_id, resource_set_hash,
       application_id, tier, approver_class)
    values
      (${id}, ${zone}, '', 'human_approval', ${heldFor}::text::jsonb, now() + make_interval(secs => ${seconds}),
       ${uuidv7()}, ${Buffer.alloc(32, 7)}, ${app}, 'high', ${approver})`
  return id
}

describe('admin tokens (control-api §16)', () => {
  test('7: a read token is shown once, reads, and writes nothing', async () => {
    const minted = await stage.send('POST', '/v1/admin-tokens', {
      name: 'r',
      scope: 'global',
      capability: 'read',
    })
    expect(minted.status).toBe(201)
    const { token } = minted.body
    expect(token).toMatch(/^cat_[A-Za-z0-9_-]{43}$/)
    expect((await stage.send('GET', '/v1/admin-tokens')).text).not.toContain(token)
    expect((await stage.send('GET', '/v1/zones', undefined, { token })).status).toBe(200)
    expect(await outcome(stage.send('POST', '/v1/zones', { name: 'x' }, { token }))).toEqual([
      403,
      'admin_token_read_only',
    ])
    expect((await stage.send('POST', '/v1/policies/validate', { content: 'x' }, { token })).status).not.toBe(
      403,
    )
    const zone = await stage.zone()
    const app = await application(zone)
    const reveal = stage.send('GET', `/v1/zones/${zone}/applications/${app}/client-secret`, undefined, {
      token,
    })
    expect(await outcome(reveal)).toEqual([403, 'admin_token_read_only'])
  })

  test('8: a zone token stays in its zone', async () => {
    const zone = await stage.zone()
    const other = await stage.zone()
    const { send } = await mint({ scope: 'zone', zone_id: zone })
    expect((await send('GET', `/v1/zones/${zone}`)).status).toBe(200)
    expect(await outcome(send('GET', '/v1/zones'))).toEqual([403, 'admin_token_zone_mismatch'])
    expect(await outcome(send('GET', `/v1/zones/${other}`))).toEqual([403, 'admin_token_zone_mismatch'])
    expect((await send('GET', '/v1/policy-templates')).status).toBe(200)
    expect((await send('POST', '/v1/admin-tokens', { name: 'x', scope: 'global' })).status).toBe(403)
    const made = await send('POST', `/v1/zones/${zone}/applications`, {
      name: 'A',
      registration_method: 'managed',
    })
    expect(made.status).toBe(201)
    const read = await send('GET', `/v1/zones/${zone}/applications/${made.body.id}`)
    expect(read.body).not.toHaveProperty('traits')
    const trait = send('POST', `/v1/zones/${zone}/applications`, {
      name: 'B',
      registration_method: 'managed',
      traits: ['control:invoke'],
    })
    expect(await outcome(trait)).toEqual([403, 'trait_forbidden'])
    const control = { name: 'C', identifier: 'caracal-control', scopes: ['control:app:read'] }
    expect(await outcome(send('POST', `/v1/zones/${zone}/resources`, control))).toEqual([
      409,
      'protected_resource',
    ])
    const global = await stage.send('POST', `/v1/zones/${zone}/resources`, control)
    expect((await send('GET', `/v1/zones/${zone}/resources/${global.body.id}`)).status).toBe(404)
    expect((await send('GET', `/v1/zones/${zone}/resources`)).body.items).toEqual([])
  })

  test('9: the zone goes with the scope', async () => {
    const post = (body: unknown) => outcome(stage.send('POST', '/v1/admin-tokens', body))
    const zone = await stage.zone()
    expect(await post({ name: 'x', scope: 'zone' })).toEqual([400, 'zone_id_required'])
    expect(await post({ name: 'x', scope: 'global', zone_id: zone })).toEqual([
      400,
      'zone_id_not_allowed_for_global',
    ])
    expect(await post({ name: 'x', scope: 'zone', zone_id: 'nope' })).toEqual([404, 'zone_not_found'])
    expect(await post({ name: 'x', scope: 'global', extra: 1 })).toEqual([400, 'invalid_admin_token_request'])
  })

  test('10: who configures does not approve', async () => {
    const zone = await stage.zone()
    const app = await application(zone)
    const path = `/v1/zones/${zone}/approvals`
    const approver = await mint({ scope: 'global', capability: 'approve' })
    const writer = await mint({ scope: 'global', capability: 'write' })
    const held = await hold(zone, app, 'operator')
    expect(await outcome(approver.send('POST', '/v1/zones', { name: 'x' }))).toEqual([
      403,
      'admin_token_approve_only',
    ])
    expect(await outcome(writer.send('POST', `${path}/${held}/approve`))).toEqual([
      403,
      'approve_capability_required',
    ])
    expect(
      await outcome(
        writer.send('POST', '/v1/admin-tokens', { name: 'x', scope: 'global', capability: 'approve' }),
      ),
    ).toEqual([403, 'approve_capability_required'])
    expect((await approver.send('POST', `${path}/${held}/approve`, {})).status).toBe(200)
    expect((await stage.send('POST', `${path}/${await hold(zone, app, 'any')}/reject`)).body.state).toBe(
      'rejected',
    )
  })

  test('11: a revoked token is refused within six seconds, a second revocation is 404', async () => {
    const { id, send } = await mint({ scope: 'global', capability: 'read' })
    expect((await send('GET', '/v1/zones')).status).toBe(200)
    expect((await stage.send('DELETE', `/v1/admin-tokens/${id}`)).status).toBe(204)
    await eventually(async () => (await send('GET', '/v1/zones')).status === 401, {
      timeoutMs: 15_000,
      intervalMs: 100,
    })
    expect(await outcome(stage.send('DELETE', `/v1/admin-tokens/${id}`))).toEqual([
      404,
      'admin_token_not_found',
    ])
  })

  seam('ends the token of everybody')(
    '12: a new environment token ends the old one; stored hashes say how they were made',
    async () => {
      const own = await createStage()
      try {
        const next = `cat_${'n'.repeat(43)}`
        const { send } = await own.replica({ CARACAL_ADMIN_TOKEN: next })
        expect((await send('GET', '/v1/zones', undefined, { token: next })).status).toBe(200)
        expect((await send('GET', '/v1/zones')).status).toBe(401)
        const minted = await send('POST', '/v1/admin-tokens', { name: 'm', scope: 'global' }, { token: next })
        expect(minted.status).toBe(201)
        const rows = await own.database.admin<{ name: string; token_hash: string }[]>`
        select name, token_hash from admin_tokens order by created_at, name`
        const seeded = ['bootstrap', 'console-approve', 'console-read-only', 'console-write'].map((name) => [
          name,
          'scrypt',
        ])
        expect(rows.map((row) => [row.name, row.token_hash.split('$')[0]])).toEqual([
          ...seeded,
          ...seeded,
          ['m', 'hmac-sha256'],
        ])
        const [stored] = await own.database.admin<{ text: string }[]>`
        select string_agg(to_jsonb(t)::text, ' ') as text from admin_tokens t`
        for (const secret of [adminToken, next, minted.body.token]) {
          const digest = createHash('sha256').update(secret).digest()
          for (const form of [
            secret,
            digest.toString('hex'),
            digest.toString('base64'),
            digest.toString('base64url'),
          ]) {
            expect(stored?.text).not.toContain(form)
          }
        }
      } finally {
        await own[Symbol.asyncDispose]()
      }
    },
  )

  test('attribution headers are believed from the bootstrap token alone', async () => {
    const headers = { 'x-caracal-authorized-by': 'Ada Lovelace', 'x-caracal-created-via': 'operator' }
    const zone = await stage.zone()
    const app = { name: `a ${uuidv7()}`, registration_method: 'managed' }
    const claimed = await stage.send('POST', `/v1/zones/${zone}/applications`, app, { headers })
    expect(claimed.body).toMatchObject({ created_by: 'Ada Lovelace', created_via_operator: true })
    const { id, send } = await mint({ scope: 'global' })
    const ignored = await send('POST', `/v1/zones/${zone}/applications`, { ...app, name: 'b' }, { headers })
    expect(ignored.body).toMatchObject({ created_by: `admin:${id}`, created_via_operator: false })
    await stage.send('PATCH', `/v1/zones/${zone}`, { operator_coauthor_badge: false })
    const plain = await stage.send(
      'POST',
      `/v1/zones/${zone}/applications`,
      { ...app, name: 'c' },
      { headers },
    )
    expect(plain.body.created_via_operator).toBe(false)
  })

  test('15: reserved names belong to the bootstrap token', async () => {
    const { send } = await mint({ scope: 'global', capability: 'write' })
    expect(await outcome(send('POST', '/v1/zones', { name: 'caracal.sys/x' }))).toEqual([
      409,
      'reserved_namespace',
    ])
    const made = await stage.send('POST', '/v1/zones', { name: 'caracal.sys/x' })
    expect(made.status).toBe(201)
    const listed = await stage.send('GET', '/v1/zones?limit=500')
    expect(listed.body.items.map((zone: { id: string }) => zone.id)).not.toContain(made.body.id)
    expect((await stage.send('GET', `/v1/zones/${made.body.id}`)).status).toBe(200)
    expect(await outcome(send('PATCH', `/v1/zones/${made.body.id}`, { name: 'y' }))).toEqual([
      403,
      'system_zone_read_only',
    ])
  })
})

describe('workloads and registration (control-api §16)', () => {
  test('17: turning registration off with live applications asks what to do with them', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}`
    expect(await outcome(stage.send('POST', `${path}/applications/dcr`, { name: 'd' }))).toEqual([
      403,
      'dcr_disabled',
    ])
    await stage.send('PATCH', path, { dcr_enabled: true })
    const made = await stage.send('POST', `${path}/applications/dcr`, { name: 'd' })
    expect(made.status).toBe(201)
    expect((await stage.send('GET', `${path}/dcr-status`)).body.live_dcr_applications).toBe(1)
    const sid = await record(zone, made.body.id, 'application')
    const agent = await session(zone, made.body.id, sid)
    const refused = await stage.send('PATCH', path, { dcr_enabled: false })
    expect([refused.status, refused.body.error, refused.body.details]).toEqual([
      409,
      'dcr_shutdown_required',
      { live_dcr_applications: 1 },
    ])
    expect(await outcome(stage.send('PATCH', path, { dcr_shutdown: 'revoke_live' }))).toEqual([
      400,
      'dcr_shutdown_not_applicable',
    ])
    const off = await stage.send('PATCH', path, { dcr_enabled: false, dcr_shutdown: 'revoke_live' })
    expect([off.status, off.body.dcr_enabled]).toEqual([200, false])
    expect((await stage.send('GET', `${path}/applications/${made.body.id}`)).status).toBe(404)
    const events = await stage.database.admin<
      { topic: string; payload_json: { agent_session_id?: string; session_id?: string } }[]
    >`
      select topic, payload_json from caracal_outbox where payload_json->>'zone_id' = ${zone}`
    const about = (topic: string) =>
      events.filter((event) => event.topic === topic).map((event) => event.payload_json)
    expect(about('caracal.agents.lifecycle').map((event) => event.agent_session_id)).toContain(agent)
    expect(about('caracal.sessions.revoke').map((event) => event.session_id)).toContain(sid)
  })

  test('22: registration bounds', async () => {
    const zone = await stage.zone()
    await stage.send('PATCH', `/v1/zones/${zone}`, { dcr_enabled: true })
    const register = (body: object) => stage.send('POST', `/v1/zones/${zone}/applications/dcr`, body)
    expect(await outcome(register({ name: 'd', expires_in: 3601 }))).toEqual([400, 'invalid_application'])
    const burst = await Promise.all(Array.from({ length: 30 }, () => register({ name: 'd' })))
    expect(burst.filter((answer) => answer.status === 429).length).toBeGreaterThan(0)
  })

  test('23: bindings cannot load foreign code or repeat a name', async () => {
    const zone = await stage.zone()
    const made = await stage.send('POST', `/v1/zones/${zone}/workloads`, { name: 'w' })
    expect(made.body.secret).toMatch(/^ws_/)
    const path = `/v1/zones/${zone}/workloads/${made.body.id}`
    const put = (bindings: object[]) => stage.send('PUT', path, { bindings })
    for (const env of ['LD_PRELOAD', 'ld_preload', '1X']) {
      const refused = await put([{ env, resource: 'resource://r' }])
      expect([refused.status, refused.body.error, refused.body.details]).toEqual([
        400,
        'invalid_credential_env',
        { env },
      ])
    }
    const twice = await put([
      { env: 'A', resource: 'resource://r' },
      { env: 'A', resource: 'resource://s' },
    ])
    expect(twice.body.error).toBe('duplicate_credential_env')
    const stored = await put([
      { env: ' A ', resource: ' resource://r ', optional: true },
      { env: 'B', resource: 'r', scopes: ['x'] },
    ])
    expect(stored.body.bindings).toEqual([
      { env: 'A', resource: 'resource://r', optional: true, on_failure: 'error' },
      { env: 'B', resource: 'r', scopes: ['x'] },
    ])
    expect((await stage.send('GET', `${path}/secret`)).body.secret).toBe(made.body.secret)
    const rotated = await stage.send('POST', `${path}/rotate-secret`)
    expect(rotated.body.secret).not.toBe(made.body.secret)
    expect(await outcome(stage.send('POST', `/v1/zones/${zone}/workloads`, { name: 'W' }))).toEqual([
      409,
      'workload_name_taken',
    ])
    expect((await stage.send('DELETE', path)).status).toBe(204)
  })

  seam('replaces the secret store')('24: a failing secret store leaves no row behind', async () => {
    const own = await createStage({
      secrets: (real) => ({ ...real, put: () => Promise.reject(new Error('the vault is away')) }),
    })
    try {
      const zone = await own.zone()
      const made = await own.send('POST', `/v1/zones/${zone}/applications`, {
        name: 'A',
        registration_method: 'managed',
      })
      expect([made.status, made.body.error]).toEqual([502, 'secret_backend_unavailable'])
      expect((await own.send('GET', `/v1/zones/${zone}/applications`)).body.items).toEqual([])
      const metrics = await own.send('GET', '/metrics', undefined, { token: 'scrape' })
      expect(metrics.text).toMatch(/^caracal_secret_backend_operations_total 1$/m)
      expect(metrics.text).toMatch(/^caracal_secret_backend_errors_total 1$/m)
    } finally {
      await own[Symbol.asyncDispose]()
    }
  })
})

describe('approvals, subjects, grants (control-api §16)', () => {
  test('37: a hold is decided once, by who may', async () => {
    const zone = await stage.zone()
    const app = await application(zone)
    const path = `/v1/zones/${zone}/approvals`
    const held = await hold(zone, app, 'operator')
    const listed = await stage.send('GET', `${path}?state=pending`)
    expect(listed.body.items[0]).toMatchObject({
      id: held,
      state: 'pending',
      approval_type: 'human_approval',
    })
    const woken: string[] = []
    const listener = await stage.database.db.listen('caracal_approval_decided', (id) => woken.push(id))
    const decided = await stage.send('POST', `${path}/${held}/approve`, { reason: 'fine' })
    expect(decided.body).toMatchObject({ id: held, state: 'approved', rejected_at: null })
    await eventually(() => woken.includes(held))
    await listener[Symbol.asyncDispose]()
    const again = await stage.send('POST', `${path}/${held}/reject`)
    expect([again.status, again.body.error, again.body.state]).toEqual([
      409,
      'approval_not_decidable',
      'approved',
    ])
    expect(await outcome(stage.send('POST', `${path}/${await hold(zone, app, 'subject')}/approve`))).toEqual([
      403,
      'subject_approval_required',
    ])
    expect((await stage.send('POST', `${path}/${held}/approve`, { reason: 'x'.repeat(501) })).status).toBe(
      400,
    )
    const contested = await hold(zone, app, 'any')
    const both = await Promise.all([1, 2].map(() => stage.send('POST', `${path}/${contested}/approve`)))
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409])
    expect((await stage.send('GET', `${path}/counts`)).body).toMatchObject({ approved: 2, pending: 1 })
    const late = await hold(zone, app, 'operator', -1)
    const expired = await stage.send('POST', `${path}/${late}/approve`)
    expect(expired.body.state).toBe('expired')
    const events = await stage.database.admin<{ data: string }[]>`
      select payload_json->>'data' as data from caracal_outbox
      where topic = 'caracal.audit.events' and payload_json->>'data' like ${`%${held}%`}`
    expect(JSON.parse(events[0]?.data ?? '{}')).toMatchObject({
      event_type: 'step_up_decided',
      decision: 'approved',
    })
    // Member by member what the STS tells of a hold.
    expect(JSON.parse(events[0]?.data ?? '{}').metadata_json).toEqual({
      challenge_id: held,
      tier: 'high',
      approver_class: 'operator',
      privacy_mode: 'identified',
      binding: '07'.repeat(32),
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      application_id: app,
      agent_session_id: 'as-1',
      delegation_edge_id: 'edge-1',
      agent_labels: ['team:a'],
      approver_plane: 'operator',
      approver_subject_id: expect.stringMatching(/^admin:/),
      reason: 'fine',
    })
  })

  test('38: the kill switch withdraws everything once', async () => {
    const zone = await stage.zone()
    const app = await application(zone)
    const path = `/v1/zones/${zone}/subjects/revoke`
    expect(await outcome(stage.send('POST', path, { subject_id: 'nobody' }))).toEqual([
      404,
      'subject_not_found',
    ])
    const sid = await record(zone, 'user-1', 'user')
    const child = await record(zone, app, 'application', sid)
    const root = await session(zone, app, sid)
    const leaf = await session(zone, app, child, root)
    await stage.database.admin`
      insert into delegation_edges
        (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, scopes, expires_at)
      values (${uuidv7()}, ${zone}, ${root}, ${leaf}, ${app}, ${app}, ${['a']}, now() + interval '1 hour')`
    const epoch = async () => {
      const [row] = await stage.database.admin<{ epoch: string }[]>`
        select epoch from delegation_graph_epochs where zone_id = ${zone}`
      return Number(row?.epoch ?? 0)
    }
    const first = await stage.send('POST', path, { subject_id: 'user-1', reason: 'left\nus' })
    expect(first.body).toEqual({
      subject_id: 'user-1',
      authority_records: 2,
      sessions: 2,
      delegations: 1,
      connections: 0,
    })
    expect(await epoch()).toBe(1)
    const again = await stage.send('POST', path, { subject_id: 'user-1' })
    expect(again.body).toEqual({
      subject_id: 'user-1',
      authority_records: 0,
      sessions: 0,
      delegations: 0,
      connections: 0,
    })
    expect(await epoch()).toBe(1)
    const events = await stage.database.admin<{ n: number }[]>`
      select count(*)::int as n from caracal_outbox
      where topic = 'caracal.delegations.invalidate' and payload_json->>'zone_id' = ${zone}`
    expect(events[0]?.n).toBe(1)
    const ledger = await stage.send('GET', `/v1/zones/${zone}/admin-audit?entity_type=subjects`)
    const explicit = ledger.body.items.filter(
      (row: { action: string }) => row.action === 'Subject authority revoked',
    )
    expect(explicit).toHaveLength(2)
    expect(explicit[0].signed).toBe(true)
    const sessions = await stage.send('GET', `/v1/zones/${zone}/sessions?label=team:a&status=terminated`)
    expect(sessions.body.items).toHaveLength(2)
    const subjects = await stage.send('GET', `/v1/zones/${zone}/subjects?search=user-`)
    expect(subjects.body.items[0]).toMatchObject({
      subject_id: 'user-1',
      revoked_sessions: 1,
      active_sessions: 0,
    })
    const overview = await stage.send('GET', `/v1/zones/${zone}/subjects/overview?subject_id=user-1`)
    expect(overview.body.governed).toMatchObject({ active: 0, total: 1 })
    const records = await stage.send('GET', `/v1/zones/${zone}/authority-records?status=revoked&format=csv`)
    expect(records.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(records.text.split('\r\n')[0]).toContain('authority_record_id,authority_record_type')
  })

  test('39: a grant never exceeds its resource and its end ends the user', async () => {
    const zone = await stage.zone()
    const app = await application(zone)
    const provider = (await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' }))
      .body.id
    const resource = (
      await stage.send('POST', `/v1/zones/${zone}/resources`, {
        name: 'r',
        scopes: ['r:read'],
        credential_provider_id: provider,
        upstream_url: 'http://u.test',
      })
    ).body.id
    const control = (
      await stage.send('POST', `/v1/zones/${zone}/resources`, {
        identifier: 'caracal-control',
        scopes: ['control:app:read'],
      })
    ).body.id
    const grant = (body: object) =>
      stage.send('POST', `/v1/zones/${zone}/grants`, {
        application_id: app,
        user_id: 'u',
        resource_id: resource,
        ...body,
      })
    expect(await outcome(grant({ scopes: ['r:write'] }))).toEqual([403, 'grant_scopes_exceed_resource'])
    expect(await outcome(grant({ resource_id: control, scopes: ['control:app:read'] }))).toEqual([
      403,
      'control_resource_not_grantable',
    ])
    const made = await grant({ scopes: ['r:read'] })
    expect(made.status).toBe(201)
    const listed = await stage.send('GET', `/v1/zones/${zone}/grants?subject_id=u&scopes=r:read`)
    expect(listed.body.items[0]).toMatchObject({
      id: made.body.id,
      resource_name: 'r',
      provider_kind: 'none',
    })
    const sid = await record(zone, 'u', 'user')
    expect((await stage.send('DELETE', `/v1/zones/${zone}/grants/${made.body.id}`)).status).toBe(204)
    expect((await stage.send('DELETE', `/v1/zones/${zone}/grants/${made.body.id}`)).status).toBe(204)
    const records = await stage.send('GET', `/v1/zones/${zone}/authority-records?authority_record_id=${sid}`)
    expect(records.body.items[0]).toMatchObject({ status: 'revoked', revoked_reason: 'grant_revoked' })
  })

  test('issuers and the overview answer', async () => {
    const zone = await stage.zone()
    const issuer = { issuer: 'https://idp.test', jwks_url: 'https://idp.test/jwks', audience: 'a' }
    const path = `/v1/zones/${zone}/subject-issuers`
    const made = await stage.send('POST', path, issuer)
    expect(made.status).toBe(201)
    expect(await outcome(stage.send('POST', path, issuer))).toEqual([409, 'subject_issuer_exists'])
    expect(await outcome(stage.send('POST', path, { ...issuer, jwks_url: 'http://x' }))).toEqual([
      400,
      'invalid_subject_issuer',
    ])
    expect((await stage.send('PATCH', `${path}/${made.body.id}`, {})).status).toBe(200)
    expect((await stage.send('DELETE', `${path}/${made.body.id}`)).status).toBe(204)
    const overview = await stage.send('GET', `/v1/zones/${zone}/overview`)
    expect(overview.body).toMatchObject({
      zone_id: zone,
      applications: { total: 0 },
      policy_sets: { active_name: null },
    })
    expect((await stage.send('GET', '/v1/operator/status')).body).toEqual({ enabled: false })
  })

  test('limits are lowered for everybody, never raised over the configured', async () => {
    // A setting that no other test file has: what is lowered here holds for a whole deployment.
    await using own = await createStage({ settings: { STS_MINT_RATE_LIMIT_PER_MIN: 998 } })
    expect((await own.send('GET', '/v1/audit-retention')).body).toMatchObject({
      retention_days: 365,
      updated_at: null,
    })
    const high = await own.send('PUT', '/v1/audit-retention', { retention_days: 366 })
    expect([high.status, high.body.error, high.body.max_days]).toEqual([400, 'retention_above_limit', 365])
    expect((await own.send('PUT', '/v1/audit-retention', { retention_days: 30 })).body.retention_days).toBe(
      30,
    )
    expect(
      (await own.send('PUT', '/v1/mint-rate-limit', { limit_per_minute: 5 })).body.limit_per_minute,
    ).toBe(5)
    const over = await own.send('PUT', '/v1/mint-rate-limit', { limit_per_minute: 999 })
    expect([over.status, over.body.error]).toEqual([400, 'rate_limit_above_ceiling'])
  })
})
