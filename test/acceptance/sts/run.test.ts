import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createTlsServer, type TlsServer } from '../../fixtures/tls-server.ts'
import { activatePolicy, grantsDocument, seedProvider, seedResource } from '../../fixtures/zone.ts'
import { auditEvent, createWorld, postForm, type TokenAnswer, type World } from '../../roles/sts/world.ts'

let world: World
let upstream: TlsServer
let secret: string
const workloadId = uuidv7()

beforeAll(async () => {
  upstream = await createTlsServer(() => ({
    body: { access_token: 'service-token', token_type: 'bearer', expires_in: 600 },
  }))
  world = await createWorld({}, upstream.egress)
  secret = `ws_${crypto.randomUUID()}`
  const { db, zone, cipher, hasher } = world
  const bind = async (kind: string, config: object, secrets: Record<string, string>, identifier: string) => {
    const providerId = await seedProvider(db, zone.zoneId, {
      kind,
      config: config as Record<string, unknown>,
      secrets,
      cipher,
    })
    await seedResource(db, zone.zoneId, { providerId, identifier, scopes: ['chat'] })
  }
  const inject = { allow_runtime_injection: true }
  await bind('api_key', { header_name: 'x', ...inject }, { api_key: 'sk-1' }, 'resource://openai')
  await bind('api_key', { header_name: 'x' }, { api_key: 'sk-2' }, 'resource://closed')
  await bind('http_basic', { username: 'u', ...inject }, { password: 'p' }, 'resource://basic')
  await bind(
    'oauth2_client_credentials',
    {
      ...inject,
      token_endpoint: `${upstream.url('tokens')}/token`,
      client_id: 'c',
      allowed_token_hosts: ['tokens.test.example'],
    },
    { client_secret: 's' },
    'resource://service',
  )
  const bindings = [
    {
      env: 'OPENAI_API_KEY',
      resource: 'resource://openai',
      scopes: ['chat'],
      optional: true,
      on_failure: 'warn',
    },
    { env: 'CLOSED', resource: 'resource://closed' },
    { env: 'BASIC', resource: 'resource://basic' },
    { env: 'SERVICE', resource: 'resource://service', scopes: ['chat'] },
    { env: 'WIDE', resource: 'resource://openai', scopes: ['admin'] },
    { env: 'GONE', resource: 'resource://gone' },
  ]
  await db.sql`
    insert into workloads (id, zone_id, name, secret_hash, bindings)
    values (${workloadId}, ${zone.zoneId}, 'builder', ${hasher.hashGenerated(secret)},
            ${JSON.stringify(bindings)}::text::jsonb)`
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const manifest = (fields = {}, headers = {}) =>
  postForm(world.sts, '/v1/run/manifest', { workload_id: workloadId, secret, ...fields }, headers)
const credential = (env: string, fields = {}, headers = {}) =>
  postForm(world.sts, '/v1/run/credential', { workload_id: workloadId, secret, env, ...fields }, headers)

describe('sts §18 run', () => {
  test('60: a manifest', async () => {
    const launch = crypto.randomUUID()
    const answer = await manifest({}, { 'x-request-id': 'launch-1', 'x-caracal-launch-id': launch })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-request-id')).toBe('launch-1')
    expect(answer.body).toMatchObject({ zone_id: world.zone.zoneId, workload_id: workloadId })
    expect(answer.body.bindings.slice(0, 2)).toEqual([
      {
        env: 'OPENAI_API_KEY',
        resource: 'resource://openai',
        scopes: ['chat'],
        optional: true,
        on_failure: 'warn',
      },
      { env: 'CLOSED', resource: 'resource://closed' },
    ])
    expect(await auditEvent(world, 'launch-1', 'complete')).toMatchObject({
      event_type: 'run_launch',
      decision: 'allow',
      metadata_json: {
        workload_id: workloadId,
        workload_name: 'builder',
        binding_count: 6,
        launch_id: launch,
      },
    })
  })

  test('60: wrong secret and unknown workload are one answer', async () => {
    const answers = [
      await manifest({ secret: 'wrong' }, { 'x-request-id': 'launch-2' }),
      await manifest({ workload_id: 'nobody' }, { 'x-request-id': 'launch-2' }),
    ]
    expect(answers.map(outcome)).toEqual([
      [401, 'access_denied'],
      [401, 'access_denied'],
    ])
    expect(answers[0]?.body).toEqual(answers[1]?.body)
    await auditEvent(world, 'launch-2', 'workload_auth_failed')
    expect(outcome(await manifest({ secret: undefined }))).toEqual([400, 'invalid_token'])
    expect(outcome(await postForm(world.sts, '/v1/run/manifest?x=1', {}))).toEqual([400, 'invalid_token'])
  })

  test('60: no bindings is 404', async () => {
    const id = uuidv7()
    await world.db.sql`
      insert into workloads (id, zone_id, name, secret_hash)
      values (${id}, ${world.zone.zoneId}, 'bare', ${world.hasher.hashGenerated(secret)})`
    expect(outcome(await manifest({ workload_id: id }))).toEqual([404, 'resource_not_found'])
  })

  test('60: credentials by provider kind', async () => {
    expect((await credential('OPENAI_API_KEY', {}, { 'x-request-id': 'cred-1' })).body).toEqual({
      env: 'OPENAI_API_KEY',
      credential: 'sk-1',
    })
    expect(await auditEvent(world, 'cred-1', 'complete')).toMatchObject({
      decision: 'allow',
      determining_policies_json: [{ policy: 'caracal-workload-mint' }],
      metadata_json: { workload_id: workloadId, env: 'OPENAI_API_KEY', resource: 'resource://openai' },
    })
    const service = await credential('SERVICE')
    expect(service.body).toEqual({
      env: 'SERVICE',
      credential: 'service-token',
      expires_at: expect.any(Number),
    })
    expect(outcome(await credential('CLOSED', {}, { 'x-request-id': 'cred-2' }))).toEqual([
      403,
      'access_denied',
    ])
    await auditEvent(world, 'cred-2', 'credential_injection_denied')
    expect(outcome(await credential('BASIC'))).toEqual([403, 'access_denied'])
    expect(outcome(await credential('WIDE'))).toEqual([403, 'access_denied'])
    expect(outcome(await credential('GONE'))).toEqual([404, 'resource_not_found'])
    expect(outcome(await credential('UNKNOWN'))).toEqual([404, 'resource_not_found'])
    expect(outcome(await credential('OPENAI_API_KEY', { secret: 'wrong' }))).toEqual([401, 'access_denied'])
  })

  test('60: a gated scope needs an approval, once', async () => {
    await activatePolicy(world.db, world.zone.zoneId, [
      grantsDocument({ risk: [{ scope: 'chat', tier: 'people' }], approval_tiers: [{ tier: 'people' }] }),
    ])
    const held = await credential('OPENAI_API_KEY')
    expect(outcome(held)).toEqual([401, 'interaction_required'])
    const { approval_id } = held.body
    expect((await credential('OPENAI_API_KEY')).body.approval_id).toBe(approval_id)
    await world.db.sql`
      update step_up_challenges set satisfied_at = now(), approver_subject_id = 'admin:x' where id = ${approval_id}`
    expect(outcome(await credential('SERVICE', { approval_id }))).toEqual([401, 'access_denied'])
    expect((await credential('OPENAI_API_KEY', { approval_id })).body.credential).toBe('sk-1')
    expect(outcome(await credential('OPENAI_API_KEY', { approval_id }))).toEqual([409, 'approval_consumed'])
  })
})
