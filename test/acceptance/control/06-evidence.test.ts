import { createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { verifyAdminChain } from '../../../src/roles/audit/index.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { createStage, type Stage, tellsWhenToComeAgain } from '../../roles/control/stage.ts'

let stage: Stage
let server: Server
let base: string
const received: { readonly headers: IncomingMessage['headers']; readonly body: string }[] = []
const answers: number[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk
    })
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      response.statusCode = answers.shift() ?? 200
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  stage = await createStage()
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

interface Event {
  readonly id?: string
  readonly type?: string
  readonly decision?: string
  readonly requestId?: string
  readonly metadata?: object
  readonly at?: string
}

async function event(zone: string, seq: number, facts: Event): Promise<string> {
  const id = facts.id ?? uuidv7()
  await stage.database.admin`
    insert into audit_events
      (id, zone_id, event_type, request_id, decision, evaluation_status, determining_policies_json,
       diagnostics_json, metadata_json, occurred_at, chain_seq)
    values
      (${id}, ${zone}, ${facts.type ?? 'token_exchange'}, ${facts.requestId ?? uuidv7()}, ${facts.decision ?? 'allow'},
       'complete', '[{"policy":"p1"}]', '[]', ${JSON.stringify(facts.metadata ?? {})}::text::jsonb,
       ${facts.at ?? new Date().toISOString()}, ${seq})`
  await stage.database.admin`
    insert into audit_event_labels (zone_id, label, occurred_at, event_id)
    select zone_id, jsonb_array_elements_text(metadata_json->'agent_labels'), occurred_at, id
    from audit_events where id = ${id} and metadata_json ? 'agent_labels'`
  return id
}

/** A turn of the dispatcher; the processes of a deployment take turns of their own, every five seconds. */
async function dispatch({ control }: Stage): Promise<void> {
  if (!inOneProcess) return
  const job = control.jobs.find((candidate) => candidate.name === 'notification_dispatcher')
  await job?.run(jobContext())
}
const dispatched = { timeoutMs: 30_000 }

describe('notification sinks (control-api §16)', () => {
  test('40: deliveries are signed, retried in order and under one id', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/notification-sinks`
    for (const url of ['http://example.com', 'https://user@example.com', 'ftp://example.com', 'nope']) {
      expect((await stage.send('POST', path, { name: 's', url })).body.error).toBe('invalid_sink_url')
    }
    await event(zone, 1, { type: 'step_up_issued' })
    const made = await stage.send('POST', path, {
      name: 's',
      url: `${base}/hook`,
      event_types: ['step_up_decided'],
    })
    expect(made.status).toBe(201)
    expect(made.body.secret).toMatch(/^nsk_[0-9a-f]{48}$/)
    expect((await stage.send('GET', `${path}/${made.body.id}`)).text).not.toContain('nsk_')
    await event(zone, 2, { type: 'step_up_decided', decision: 'approved', metadata: { challenge_id: 'c' } })
    await event(zone, 3, { type: 'token_exchange' })
    answers.push(500, 200)
    await dispatch(stage)
    await eventually(() => received.length === 1, dispatched)
    const attempted = async () =>
      (await stage.send('GET', `${path}/${made.body.id}/deliveries`)).body.items[0].response_status !== null
    await eventually(attempted)
    const failed = await stage.send('GET', `${path}/${made.body.id}/deliveries`)
    expect(failed.body.items[0]).toMatchObject({ attempts: 1, response_status: 500, delivered_at: null })
    await stage.database.admin`
      update notification_deliveries set available_at = now() where sink_id = ${made.body.id}`
    await dispatch(stage)
    await eventually(() => received.length === 2, dispatched)
    const [first, second] = received
    expect(second?.headers['x-caracal-delivery']).toBe(first?.headers['x-caracal-delivery'])
    const timestamp = second?.headers['x-caracal-timestamp']
    const expected = createHmac('sha256', made.body.secret)
      .update(`${timestamp}.${second?.body}`)
      .digest('hex')
    expect(second?.headers['x-caracal-signature']).toBe(`v1=${expected}`)
    expect(JSON.parse(second?.body ?? '{}')).toMatchObject({
      type: 'step_up_decided',
      zone_id: zone,
      decision: 'approved',
      data: { challenge_id: 'c' },
    })
    await eventually(async () => {
      const done = await stage.send('GET', `${path}/${made.body.id}/deliveries`)
      return done.body.items.length === 1 && done.body.items[0].delivered_at !== null
    })
    for (let n = 2; n <= 20; n += 1) {
      expect((await stage.send('POST', path, { name: `s${n}`, url: 'https://example.com/x' })).status).toBe(
        201,
      )
    }
    expect((await stage.send('POST', path, { name: 'more', url: 'https://example.com/x' })).body.error).toBe(
      'sink_limit_reached',
    )
    const rotated = await stage.send('POST', `${path}/${made.body.id}/rotate-secret`)
    expect(rotated.body.secret).not.toBe(made.body.secret)
    expect((await stage.send('DELETE', `${path}/${made.body.id}`)).status).toBe(204)
  })
})

describe('receivers on this machine (control-api §7.17)', () => {
  let strict: Stage
  beforeAll(async () => {
    // The login of a test database may do everything.
    strict = await createStage({
      settings: {
        CARACAL_MODE: 'stable',
        CARACAL_DB_ALLOW_BYPASSRLS: true,
        AGENT_COORDINATOR_SCOPE: 'agent:lifecycle',
      },
    })
  })
  afterAll(() => strict[Symbol.asyncDispose]())

  async function deliveryBy(own: Stage) {
    const zone = await own.zone()
    const path = `/v1/zones/${zone}/notification-sinks`
    const made = await own.send('POST', path, { name: 's', url: `${base}/loopback` })
    expect(made.status).toBe(201)
    await own.database.admin`
      insert into audit_events (id, zone_id, event_type, decision, occurred_at, chain_seq, metadata_json)
      values (${uuidv7()}, ${zone}, 'step_up_issued', 'pending', now(), 1, '{}')`
    await dispatch(own)
    return eventually(async () => {
      const [first] = (await own.send('GET', `${path}/${made.body.id}/deliveries`)).body.items
      return first?.attempts === 1 && (first.delivered_at ?? first.last_error) !== null ? first : null
    }, dispatched)
  }

  test('40: plain http to loopback is delivered in dev, and nowhere else', async () => {
    expect(await deliveryBy(stage)).toMatchObject({ attempts: 1, response_status: 200, last_error: null })
    const before = received.length
    expect(await deliveryBy(strict)).toMatchObject({
      attempts: 1,
      delivered_at: null,
      last_error: 'the sink cannot be reached: address_refused',
    })
    expect(received).toHaveLength(before)
  })
})

describe('audit (control-api §16)', () => {
  test('41: the ledger names fields, never values', async () => {
    const zone = await stage.zone()
    const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'k',
      kind: 'api_key',
      config_json: { api_key: 'sk-very-secret', header_name: 'X-K' },
    })
    const app = await stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'a',
      registration_method: 'managed',
    })
    await stage.send('POST', `/v1/zones/${zone}/applications/${app.body.id}/rotate-secret`)
    const ledger = await stage.send('GET', `/v1/zones/${zone}/admin-audit`)
    expect(ledger.text).not.toContain('sk-very-secret')
    const [rotation, create, providerRow, zoneRow, ...others] = ledger.body.items
    expect(others).toEqual([])
    expect(zoneRow).toMatchObject({ entity_type: 'zones', entity_id: zone, status_code: 201 })
    expect(await verifyAdminChain(stage.database.db, stage.keys.audit, zone)).toMatchObject({
      checked: 4,
      findings: [],
    })
    expect(rotation.payload_json).toMatchObject({ change_kind: 'secret_rotation', secret_rotated: true })
    expect(create).toMatchObject({ entity_type: 'applications', entity_id: app.body.id, status_code: 201 })
    expect(providerRow.entity_id).toBe(provider.body.id)
    expect(providerRow.payload_json).toMatchObject({ change_kind: 'create', secret_rotated: true })
    expect(providerRow.payload_json.changed_fields).toContain('config_json.header_name')
    expect(providerRow.payload_json.changed_fields.join()).not.toContain('api_key,')
    const numbers = ledger.body.items.map((row: { chain_seq: number }) => row.chain_seq)
    expect(numbers.every((seq: unknown) => typeof seq === 'number')).toBe(true)
    expect([...numbers].sort((a, b) => b - a)).toEqual(numbers)
    await stage.send('POST', '/v1/service-accounts', { username: 'ledger', password: 'first-very-secret' })
    const accounts = await stage.send('GET', '/v1/service-accounts')
    const { id } = accounts.body.items.find((row: { username: string }) => row.username === 'ledger')
    const changed = { new_password: 'second-very-secret' }
    expect((await stage.send('POST', `/v1/service-accounts/${id}/password`, changed)).status).toBe(204)
    const rows = await stage.database.admin<{ payload: string; kind: string }[]>`
      select to_jsonb(e)::text as payload, payload_json->>'change_kind' as kind from admin_audit_events e
      where entity_id = ${id} order by occurred_at`
    expect(rows.map((row) => row.kind)).toEqual(['create', 'secret_rotation'])
    for (const { payload } of rows) expect(payload).not.toMatch(/very-secret|new_password/)
    const csv = await stage.send('GET', `/v1/zones/${zone}/admin-audit?format=csv&fields=action,change_kind`)
    expect(csv.text.split('\r\n')[0]).toBe('action,change_kind')
  })

  test('42: a change that cannot be recorded is told as such; a 404 stays one', async () => {
    const zone = await stage.zone()
    await stage.database.admin`
      create function refuse_ledger() returns trigger language plpgsql as 'begin raise exception ''no''; end'`
    await stage.database.admin.unsafe(`
      create trigger refuse_ledger before insert on admin_audit_events for each row
      when (new.zone_id = '${zone}') execute function refuse_ledger()`)
    try {
      const patched = await stage.send('PATCH', `/v1/zones/${zone}`, { name: 'Renamed' })
      expect([patched.status, patched.body.error]).toEqual([500, 'audit_unavailable'])
      expect((await stage.send('GET', `/v1/zones/${zone}/applications/nope`)).status).toBe(404)
    } finally {
      await stage.database.admin`drop function refuse_ledger() cascade`
    }
    expect((await stage.send('GET', `/v1/zones/${zone}`)).body.name).toBe('Renamed')
  })

  test('43: filters, projections and spreadsheets', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/audit`
    await event(zone, 1, {
      at: '2026-01-01T00:00:00.000Z',
      metadata: { application_id: 'a1', agent_labels: ['team:a'], session_id: 's1' },
    })
    await event(zone, 2, {
      at: '2026-01-02T00:00:00.000Z',
      decision: 'deny',
      type: 'gateway_denied',
      metadata: { reason: '=1+1', agent_session_id: 'g1' },
    })
    const found = async (query: string) => (await stage.send('GET', `${path}?${query}`)).body.items.length
    expect(await found('')).toBe(2)
    expect(await found('decision=deny')).toBe(1)
    expect(await found('event_type=token_exchange,gateway_denied')).toBe(2)
    expect(await found('application_id=a1')).toBe(1)
    expect(await found('session_id=g1')).toBe(1)
    expect(await found('authority_record_id=s1')).toBe(1)
    expect(await found('label=team:a')).toBe(1)
    expect(await found('since=2026-01-02T00:00:00Z')).toBe(1)
    expect(await found('until=2026-01-02T00:00:00Z')).toBe(1)
    for (const date of ['0000-01-01T00:00:00Z', '2026-02-30T00:00:00Z']) {
      for (const list of ['audit', 'admin-audit', 'approvals']) {
        for (const query of [`since=${date}`, `until=${date}`]) {
          const answer = await stage.send('GET', `/v1/zones/${zone}/${list}?${query}`)
          // Not every list has both bounds; one that it does not know it ignores.
          expect([list, query, answer.status < 500]).toEqual([list, query, true])
        }
      }
      expect((await stage.send('GET', `${path}?since=${date}`)).status).toBe(400)
      expect((await stage.send('GET', `${path}?until=${date}`)).status).toBe(400)
    }
    const all = await stage.send('GET', path)
    expect(all.body.items[1].metadata_json.session_id).toBe('[redacted]')
    const csv = await stage.send('GET', `${path}?format=csv&fields=id,decision,reason`)
    expect(csv.headers.get('content-disposition')).toBe(`attachment; filename="audit-${zone}.csv"`)
    expect(csv.text.split('\r\n')[0]).toBe('id,decision,reason')
    expect(csv.text.split('\r\n')[1]).toMatch(/,deny,'=1\+1$/)
    const flat = await stage.send('GET', `${path}?fields=decision,determining_policies`)
    expect(flat.body.items[0]).toEqual({ decision: 'deny', determining_policies: ['p1'] })
    expect((await stage.send('GET', `${path}?fields=nope`)).body.error).toBe('invalid_fields')
    for (const since of ['2026-01-01T00:00:00%2B02:00', '2026-02-30T00:00:00Z', 'yesterday']) {
      expect((await stage.send('GET', `${path}?since=${since}`)).body.error).toBe('invalid_query')
    }
    expect((await stage.send('GET', `${path}?limit=1001`)).status).toBe(400)
  })

  test('44: a denied request explains itself with an input to try', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/audit/by-request`
    expect((await stage.send('GET', `${path}/none`)).body.error).toBe('request_not_found')
    const requestId = uuidv7()
    await event(zone, 1, {
      requestId,
      decision: 'deny',
      metadata: {
        application_id: 'a1',
        resource: 'resource://r',
        requested_scopes: ['r:read'],
        session_id: 's1',
      },
    })
    expect((await stage.send('GET', `${path}/${requestId}`)).body).toHaveLength(1)
    const explained = await stage.send('GET', `${path}/${requestId}/explain`)
    expect(explained.body).toMatchObject({ final_decision: 'deny', request_id: requestId })
    expect(explained.body.denied[0].policy_input).toMatchObject({
      schema_version: '2026-05-20',
      principal: { type: 'Application', id: 'a1', zone_id: zone },
      resource: { identifier: 'resource://r', scopes: ['r:read'] },
      session: { id: 's1' },
    })
  })

  test('a request explains itself whatever id its caller chose', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/audit/explain`
    for (const [at, requestId] of ['..', '../x', 'a/b', 'a%2fb', 'my.req.1', '"&?#'].entries()) {
      await event(zone, at + 1, { requestId, decision: 'deny' })
      const query = new URLSearchParams({ request_id: requestId })
      expect((await stage.send('GET', `${path}?${query}`)).body).toMatchObject({
        request_id: requestId,
        final_decision: 'deny',
      })
    }
    expect((await stage.send('GET', `${path}?request_id=none`)).body.error).toBe('request_not_found')
    expect((await stage.send('GET', path)).body.error).toBe('invalid_query')
  })
})

describe('explain and simulate (control-api §16)', () => {
  test('44: the explanation of a mint that was denied is denied in a simulation, and only because of who asked', async () => {
    const zone = await stage.zone()
    const made = async (path: string, body: object) =>
      (await stage.send('POST', `/v1/zones/${zone}/${path}`, body)).body
    const [granted, stranger] = [
      await made('applications', { name: 'granted', registration_method: 'managed' }),
      await made('applications', { name: 'stranger', registration_method: 'managed' }),
    ]
    const provider = await made('providers', { name: 'n', kind: 'none' })
    await made('resources', {
      identifier: 'resource://r',
      scopes: ['r:read'],
      upstream_url: 'http://up.test',
      credential_provider_id: provider.id,
    })
    const grants = { 'resource://r': { application: granted.id, roles: { [granted.id]: ['r:read'] } } }
    const policy = await made('policies', {
      name: 'p',
      content: [
        '# caracal:data-document',
        'package caracal.authz',
        `app_ids := ${JSON.stringify({ [granted.id]: granted.id })}`,
        `grants := ${JSON.stringify(grants)}`,
      ].join('\n'),
    })
    const set = await made('policy-sets', { name: 's' })
    const { version_id } = await made(`policy-sets/${set.id}/versions`, {
      manifest: [{ policy_version_id: policy.version_id }],
    })
    await made(`policy-sets/${set.id}/activate`, { version_id })
    const denied = await stage.exchange({
      zone_id: zone,
      application_id: stranger.id,
      client_secret: stranger.client_secret,
      resource: 'resource://r',
      scope: 'agent:lifecycle',
    })
    expect(denied.status).toBe(403)
    const { requestId } = denied.body
    await eventually(async () => {
      const path = `/v1/zones/${zone}/audit/by-request/${requestId}`
      if (!inOneProcess) return (await stage.send('GET', path)).status === 200
      // There is no audit role in one process: the test ingests for it.
      const entries = await stage.bus.range('caracal.audit.events', '-', 1000)
      const evidence = entries.map((entry) => JSON.parse(entry.fields.data ?? '{}'))
      const mine = evidence.filter((one) => one.request_id === requestId && one.decision === 'deny')
      let seq = 0
      for (const one of mine) {
        seq += 1
        await event(zone, seq, {
          requestId,
          type: one.event_type,
          decision: 'deny',
          metadata: one.metadata_json,
        })
      }
      return seq > 0
    })
    const explained = await stage.send('GET', `/v1/zones/${zone}/audit/by-request/${requestId}/explain`)
    expect(explained.body.final_decision).toBe('deny')
    const input = explained.body.denied[0].policy_input
    expect(input.principal).toMatchObject({ id: stranger.id, registration_method: 'managed' })
    const simulate = async (tried: object) =>
      (await made(`policy-sets/${set.id}/simulate`, { version_id, input: tried })).explanation
    expect(await simulate(input)).toMatchObject({ evaluation: 'executed', decision: 'deny' })
    expect(await simulate({ ...input, principal: { ...input.principal, id: granted.id } })).toMatchObject({
      evaluation: 'executed',
      decision: 'allow',
    })
  })
})

describe('OAuth providers and connections (control-api §16)', () => {
  const config = {
    authorization_endpoint: 'https://idp.test/authorize',
    token_endpoint: 'https://idp.test/token',
    redirect_uri: 'https://caracal.test/callback',
    client_id: 'c',
    client_secret: 's',
    authorization_params: { prompt: 'consent' },
  }

  test('27: only OAuth kinds can be checked; keys must parse; discovery wants https', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/providers`
    const checked = await stage.send('POST', path, {
      name: 'b',
      kind: 'bearer_token',
      config_json: { bearer_token: 't' },
      check: true,
    })
    expect(checked.body.error).toBe('provider_check_unsupported')
    expect((await stage.send('POST', `${path}/discovery`, { issuer: 'http://idp.test' })).body.error).toBe(
      'invalid_issuer',
    )
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    const signed = {
      token_endpoint: 'https://idp.test/token',
      client_id: 'c',
      client_auth_method: 'private_key_jwt',
    }
    const create = (private_key: unknown) =>
      stage.send('POST', path, {
        name: 'j',
        kind: 'oauth2_client_credentials',
        config_json: { ...signed, private_key },
      })
    expect((await create('not a key')).body.error).toBe('invalid_provider_config')
    const made = await create(pem)
    expect(made.body).toMatchObject({
      secret_config_keys: ['private_key'],
      config_json: { allowed_token_hosts: ['idp.test'] },
    })
    expect(made.body.connectivity_failed_at).not.toBeNull()
    const strict = await createStage()
    try {
      const own = await strict.zone()
      const local = await strict.send('POST', `/v1/zones/${own}/providers`, {
        name: 'l',
        kind: 'oauth2_client_credentials',
        config_json: { token_endpoint: 'https://169.254.169.254/token', client_id: 'c', client_secret: 's' },
        check: true,
      })
      expect([local.status, local.body.details.check.status]).toEqual([422, 'unreachable'])
      for (let n = 0; n < 10; n += 1) {
        await strict.send('POST', `/v1/zones/${own}/providers/discovery`, { issuer: 'https://127.0.0.1' })
      }
      const limited = await strict.send('POST', `/v1/zones/${own}/providers/discovery`, {
        issuer: 'https://127.0.0.1',
      })
      expect([limited.status, limited.body.error]).toEqual([429, 'provider_discovery_rate_limited'])
      expect(tellsWhenToComeAgain(limited)).toBe(true)
    } finally {
      await strict[Symbol.asyncDispose]()
    }
  })

  test('a connection is begun with PKCE, its state is used once, and revoking is local first', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/provider-connections`
    const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'u',
      kind: 'oauth2_authorization_code',
      config_json: config,
    })
    expect(provider.status).toBe(201)
    const provider_id = provider.body.id
    const begun = await stage.send('POST', `${path}/oauth/authorize`, { provider_id })
    const url = new URL(begun.body.authorization_url)
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      prompt: 'consent',
      response_type: 'code',
      client_id: 'c',
      state: begun.body.state,
      code_challenge_method: 'S256',
    })
    const callback = (query: string) =>
      stage.send('GET', `${path}/oauth/callback?${query}`, undefined, { token: null })
    expect((await callback('state=short')).body.error).toBe('invalid_oauth_callback')
    expect((await callback(`state=${begun.body.state}&error=access_denied`)).body.error).toBe(
      'provider_oauth_denied',
    )
    expect((await callback(`state=${begun.body.state}&code=x`)).body.error).toBe('oauth_state_expired')
    const made = await stage.send('POST', path, { provider_id, access_token: 'at', refresh_token: 'rt' })
    expect(made.body).toMatchObject({ subject_id: 'caracal:shared', status: 'active', expires_at: null })
    const again = await stage.send('POST', path, { provider_id, access_token: 'at2' })
    expect(again.body.id).toBe(made.body.id)
    const listed = await stage.send('GET', path)
    expect(listed.body.items[0]).toMatchObject({ renewable: false })
    expect(listed.text).not.toContain('at2')
    const revoked = await stage.send('POST', `${path}/revoke`, { provider_id })
    expect(revoked.body).toMatchObject({ status: 'revoked', upstream_revocation: 'unsupported' })
    expect((await stage.send('POST', `${path}/revoke`, { provider_id })).body.error).toBe(
      'provider_connection_not_found',
    )
    const none = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' })
    const unsupported = await stage.send('POST', path, { provider_id: none.body.id, access_token: 'x' })
    expect(unsupported.body.error).toBe('provider_connection_unsupported')
  })
})
