import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { policyInputOf } from '../../../src/roles/control/policy-input.ts'
import { stsOverHttp } from '../../../src/roles/gateway/index.ts'
import { signGatewayRequest } from '../../../src/roles/sts/gateway-signature.ts'
import { simulate } from '../../../src/roles/sts/simulate.ts'
import { eventually } from '../../fixtures/eventually.ts'
import {
  activateManifest,
  activatePolicy,
  grantsDocument,
  seedApplication,
  seedBareZone,
  seedDelegation,
  seedResource,
} from '../../fixtures/zone.ts'
import {
  auditEvent,
  auditEvents,
  createWorld,
  delegatedFields,
  gatewayExchange,
  mintGatewayMandate,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const lifecycle = { scope: 'agent:lifecycle' }

const base = () => {
  const own = world.zone.application.id
  return {
    app_ids: { own },
    grants: { 'resource://nucleus': { application: 'own', roles: { [own]: ['nucleus:pay'] } } },
  }
}
const activate = (rules: object) =>
  activatePolicy(world.db, world.zone.zoneId, [grantsDocument({ ...base(), ...rules })])
const reason = (answer: TokenAnswer) => answer.body.error_description

describe('sts §18 policy', () => {
  test('38: a reason for every row of the decision table', async () => {
    const delegation = await seedDelegation(world.db, world.zone)
    const mint = () => token(world, delegatedFields(delegation))
    const cases: [rules: object, call: () => Promise<TokenAnswer>, reason: string | 200][] = [
      [{ restrict: ['freeze'] }, () => token(world, lifecycle), 'restriction_active'],
      [{}, () => token(world, lifecycle), 200],
      [{ grants: {} }, () => token(world, lifecycle), 'no_rule_matched'],
      [{ risk: 'x' }, mint, 'malformed_risk_data'],
      [{ approval_tiers: [{ tier: 1 }] }, mint, 'malformed_approval_data'],
      [{ app_ids: {} }, mint, 'resource_not_granted'],
      [
        { confinement: [{ label_prefix: world.zone.application.id.slice(0, 4), scopes: [] }] },
        mint,
        'confinement_violation',
      ],
      [{ grants: { 'resource://nucleus': { application: 'own', roles: {} } } }, mint, 'role_scope_mismatch'],
      [{}, mint, 200],
      [{}, () => token(world), 'no_rule_matched'],
    ]
    for (const [rules, call, expected] of cases) {
      await activate(rules)
      const answer = await call()
      if (expected === 200) expect([answer.status, answer.body.error_description]).toEqual([200, undefined])
      else expect(reason(answer)).toBe(`policy denied (${expected})`)
    }
  })

  test('the input rebuilt from the evidence of a denial is decided alike', async () => {
    const own = world.zone.application.id
    const delegation = await seedDelegation(world.db, world.zone)
    await activate({})
    const { mandate } = await mintGatewayMandate(world)
    const mint = () => token(world, delegatedFields(delegation))
    const use = () => gatewayExchange(world, mandate)
    const grants = { 'resource://nucleus': { application: 'own', roles: { [own]: ['nucleus:read'] } } }
    const edge = 'input.delegation_edge'
    const denials: [rules: object, rego: string, call: () => Promise<TokenAnswer>, expected: string][] = [
      [{ grants: {} }, '', () => token(world, lifecycle), 'no_rule_matched'],
      [{ app_ids: {} }, '', mint, 'resource_not_granted'],
      [{ confinement: [{ label_prefix: own, scopes: [] }] }, '', mint, 'confinement_violation'],
      [{ grants }, '', mint, 'role_scope_mismatch'],
      [{}, '', () => token(world, { ...delegatedFields(delegation), scope: '' }), 'no_rule_matched'],
      [{}, `restrict contains "x" if ${edge}.path[0] == ${edge}.id`, mint, 'restriction_active'],
      [{}, `restrict contains "x" if ${edge}.target_session_id`, mint, 'restriction_active'],
      [
        {},
        'restrict contains "x" if input.context.actor_claims.caracal_client_id',
        mint,
        'restriction_active',
      ],
      [{ app_ids: {} }, '', use, 'resource_not_granted'],
      [{ grants }, '', use, 'role_scope_mismatch'],
      [{}, 'restrict contains "x" if input.action.method == "POST"', use, 'restriction_active'],
      [{}, 'restrict contains "x" if input.context.subject_claims.hop_count > 0', use, 'restriction_active'],
      [
        {},
        'restrict := {"a"} if input.action\nrestrict := {"b"} if input.principal',
        mint,
        'two different values',
      ],
    ]
    for (const [rules, rego, call, expected] of denials) {
      const head = 'package caracal.authz\nimport rego.v1\nrisk := []\n'
      const documents = [grantsDocument({ ...base(), ...rules }), head + rego]
      await activatePolicy(world.db, world.zone.zoneId, documents)
      const { body } = await call()
      const event = await eventually(async () => {
        const events = await auditEvents(world, body.requestId)
        return events.find(({ diagnostics_json: [found] }) => found !== undefined) ?? null
      })
      expect(JSON.stringify(event.diagnostics_json)).toContain(expected)
      const again = simulate({
        policy_set_id: 's',
        version_id: 'v',
        manifest_sha256: 'm',
        policies: documents.map((content, index) => ({ id: String(index), content })),
        input: policyInputOf(world.zone.zoneId, event.metadata_json),
      })
      const diagnostics = again.ok ? again.result.diagnostics : [{ error: again.description }]
      expect(diagnostics).toEqual(event.diagnostics_json)
    }
  })

  test('39: a restriction freezes every path at once', async () => {
    await activate({})
    const { mandate, delegation } = await mintGatewayMandate(world)
    await activatePolicy(world.db, world.zone.zoneId, [
      grantsDocument(base()),
      'package caracal.authz\nimport rego.v1\nrestrict := {"freeze"}\n',
    ])
    for (const answer of [
      await token(world, lifecycle),
      await token(world, delegatedFields(delegation)),
      await gatewayExchange(world, mandate),
    ]) {
      expect([answer.status, reason(answer)]).toEqual([403, 'policy denied (restriction_active)'])
    }
    await activatePolicy(world.db, world.zone.zoneId, [grantsDocument({ ...base(), restrict: {} })])
    expect((await gatewayExchange(world, mandate)).status).toBe(200)
  })

  test('40: without a policy set nothing is granted; an activation decides the next exchange everywhere', async () => {
    const { db, hasher } = world
    const zoneId = await seedBareZone(db)
    const application = await seedApplication(db, hasher, zoneId)
    const { credential_provider_id: providerId } = (
      await db.sql<{ credential_provider_id: string }[]>`
        insert into providers (id, zone_id, name, identifier, provider_kind)
        values (${`p-${zoneId}`}, ${zoneId}, 'p', 'provider://p', 'none')
        returning id as credential_provider_id`
    )[0] as { credential_provider_id: string }
    const resource = await seedResource(db, zoneId, { providerId })
    const replica = await world.replica()
    const zone = { ...world.zone, zoneId, application, resource }
    const ask = (sts: World['sts']) => token({ sts, zone }, lifecycle)
    for (const sts of [...world.each, replica]) {
      expect(reason(await ask(sts))).toBe('policy denied (no_active_policy_set)')
      expect(await sts.policyStatus(zoneId)).toMatchObject({
        loaded: true,
        manifest_sha256: 'no_active_policy_set',
      })
    }
    for (const unknown of ['nowhere', 'a\0b']) {
      expect(await world.sts.policyStatus(unknown)).toMatchObject({
        zone_id: unknown,
        loaded: true,
        manifest_sha256: 'no_active_policy_set',
      })
    }
    const versionId = await activatePolicy(db, zoneId, [
      grantsDocument({
        app_ids: { a: application.id },
        grants: { [resource.identifier]: { application: 'a', roles: {} } },
      }),
    ])
    for (const sts of [...world.each, replica]) {
      expect((await ask(sts)).status).toBe(200)
      expect(await sts.policyStatus(zoneId)).toMatchObject({
        zone_id: zoneId,
        loaded: true,
        policy_set_version_id: versionId,
        manifest_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        loaded_at: expect.any(String),
        age_seconds: expect.any(Number),
      })
    }
    await db.sql`update policy_set_bindings set active_version_id = null where zone_id = ${zoneId}`
    expect(reason(await ask(world.sts))).toBe('policy denied (no_active_policy_set)')
  })

  test('41: a tampered manifest leaves the bundle in force, an invalid document denies the zone', async () => {
    await activate({})
    const loaded = async () => {
      // What is in force is what a replica holds.
      for (const sts of world.each) expect((await token({ ...world, sts }, lifecycle)).status).toBe(200)
    }
    await loaded()
    const [version] = await world.db.sql<{ id: string }[]>`
      select v.id from policy_versions v join policies p on p.id = v.policy_id
      where p.zone_id = ${world.zone.zoneId} limit 1`
    await activateManifest(world.db, world.zone.zoneId, [version?.id as string], '00'.repeat(32))
    await loaded()
    await activatePolicy(world.db, world.zone.zoneId, ['package caracal.authz\nresult := 1\n'])
    expect(reason(await token(world, lifecycle))).toBe('policy denied (no_active_policy_set)')
    await activatePolicy(world.db, world.zone.zoneId, [
      grantsDocument(base()),
      grantsDocument({ grants: {} }),
    ])
    expect(reason(await token(world, lifecycle))).toBe('policy denied (no_active_policy_set)')
    await activate({})
    expect((await token(world, lifecycle)).status).toBe(200)
  })

  test('43: one scope in two tiers cannot be decided', async () => {
    await activate({
      risk: [
        { scope: 'nucleus:pay', tier: 'a' },
        { scope: 'nucleus:pay', tier: 'b' },
      ],
    })
    const delegation = await seedDelegation(world.db, world.zone)
    const answer = await token(world, delegatedFields(delegation), { 'x-request-id': 'two-tiers' })
    expect(outcome(answer)).toEqual([503, 'policy_eval_failed'])
    const event = await auditEvent(world, 'two-tiers', 'policy_eval_failed')
    expect(event.decision).toBe('deny')
    expect(event.diagnostics_json[0]).toHaveProperty('error')
    await activate({})
  })
})

describe('44: simulation and status for other processes', () => {
  const simulation = (input: Record<string, unknown>, content = grantsDocument(base())) => ({
    policy_set_id: 'set',
    version_id: 'version',
    manifest_sha256: 'sha',
    policies: [{ id: 'p1', content }],
    input,
  })
  const bootstrap = () => ({
    principal: { type: 'Application', id: world.zone.application.id, zone_id: world.zone.zoneId },
    resource: { type: 'Resource', id: 'r', identifier: 'resource://nucleus', scopes: [] },
    action: { id: 'TokenExchange' },
    context: { requested_scopes: ['agent:lifecycle'] },
  })

  async function post(body: string, tamper = false): Promise<TokenAnswer> {
    const timestamp = String(Math.floor(Date.now() / 1000))
    const nonce = randomBytes(16).toString('hex')
    const path = '/internal/policy/simulate'
    const signature = signGatewayRequest(Buffer.from(world.settings.GATEWAY_STS_HMAC_KEY ?? '', 'hex'), {
      timestamp,
      nonce,
      method: 'POST',
      path,
      body: Buffer.from(tamper ? `${body} ` : body),
    })
    const response = await world.sts.app.request(path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-caracal-gateway-timestamp': timestamp,
        'x-caracal-gateway-request': nonce,
        'x-caracal-gateway-signature': signature,
      },
      body,
    })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  test('signature, empty bundle, bad document, unsupported version', async () => {
    expect(outcome(await post(JSON.stringify(simulation(bootstrap())), true))).toEqual([401, 'access_denied'])
    expect(outcome(await post('{'))).toEqual([400, 'invalid_token'])
    expect(outcome(await post(' '.repeat(16 * 1024 * 1024 + 1)))).toEqual([400, 'invalid_token'])
    const empty = { ...simulation(bootstrap()), policies: [] }
    expect(outcome(await post(JSON.stringify(empty)))).toEqual([400, 'invalid_token'])
    expect(outcome(await post(JSON.stringify(simulation(bootstrap(), 'package x'))))).toEqual([
      422,
      'policy_eval_failed',
    ])
    const future = simulation({ ...bootstrap(), schema_version: '2030-01-01' })
    expect(outcome(await post(JSON.stringify(future)))).toEqual([422, 'policy_eval_failed'])
  })

  test('allow and deny leave nothing behind', async () => {
    const ours = async () => (await auditEvents(world)).filter(({ zone_id }) => zone_id === world.zone.zoneId)
    const before = await ours()
    const allow = await post(JSON.stringify(simulation(bootstrap())))
    expect([allow.status, allow.body.result.decision]).toEqual([200, 'allow'])
    expect(allow.body).toMatchObject({ policy_set_id: 'set', version_id: 'version', manifest_sha256: 'sha' })
    const deny = await world.sts.simulatePolicy(simulation({}))
    expect(deny).toMatchObject({ ok: true, result: { decision: 'deny' } })
    expect(await ours()).toHaveLength(before.length)
  })

  test('the same port answers over HTTP', async () => {
    // What is loaded is said by each replica for itself.
    const [one = world.sts] = world.each
    const server = serve({ fetch: one.app.fetch, port: 0 })
    try {
      await new Promise((resolve) => server.once('listening', resolve))
      const { port } = server.address() as AddressInfo
      const key = Buffer.from(world.settings.GATEWAY_STS_HMAC_KEY ?? '', 'hex')
      await using remote = stsOverHttp({
        url: `http://127.0.0.1:${port}`,
        key: { current: key, accepted: [key] },
        timeoutMs: 5000,
      })
      expect(await remote.simulatePolicy(simulation(bootstrap()))).toEqual(
        await one.simulatePolicy(simulation(bootstrap())),
      )
      expect(await remote.simulatePolicy({ ...simulation({}), policies: [] })).toMatchObject({
        ok: false,
        status: 400,
      })
      const { age_seconds: _, ...status } = await remote.policyStatus(world.zone.zoneId)
      expect(await one.policyStatus(world.zone.zoneId)).toMatchObject(status)
      await using stranger = stsOverHttp({
        url: `http://127.0.0.1:${port}`,
        key: { current: Buffer.alloc(32, 1), accepted: [] },
        timeoutMs: 5000,
      })
      await expect(stranger.policyStatus(world.zone.zoneId)).rejects.toMatchObject({
        kind: 'invalid_response',
      })
    } finally {
      server.close()
    }
  })
})
