/** sts §18, checks 16, 61 and 62: the client packages against a whole server. */
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AdminClient, ControlClient } from '../../../src/admin/index.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { decodeJwt } from '../../../src/sdk/advanced.ts'
import { ApprovalRequiredError, Authority, Caracal } from '../../../src/sdk/index.ts'
import { createMandateVerifier, InMemoryRevocationStore } from '../../../src/verify/index.ts'
import { createIdentityIssuer } from '../../roles/sts/identity-issuer.ts'
import { createWorld as createStsWorld } from '../../roles/sts/world.ts'
import { close, createWorld, listen, openStage, type Stage, type World } from '../clients/stage.ts'

let stage: Stage
let world: World
let admin: AdminClient
const gate = join(tmpdir(), `caracal-gate-${uuidv7()}`)

beforeAll(async () => {
  await writeFile(gate, '')
  stage = await openStage({ CARACAL_CONTROL_ENABLED: 'true', CONTROL_GATE_FILE: gate })
  world = await createWorld(stage)
  admin = new AdminClient({ apiUrl: stage.urls.control, adminToken: stage.adminToken })
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

/** A client of `of`, whose requests are written down as `METHOD service`. */
function client(of: World = world) {
  const calls: string[] = []
  const bearers: string[] = []
  const names = Object.entries(stage.urls)
  const caracal = Caracal.fromClientSecret({
    ...of,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [of.resource],
    logger: () => undefined,
    fetchImpl: (input, init) => {
      const [name = '?'] = names.find(([, base]) => String(input).startsWith(base)) ?? []
      calls.push(`${init?.method ?? 'GET'} ${name}`)
      if (name === 'gateway') bearers.push(new Headers(init?.headers).get('authorization') ?? '')
      return fetch(input, init)
    },
  })
  return { caracal, calls, bearers }
}

async function sessionMandate(): Promise<string> {
  const response = await fetch(`${stage.urls.sts}/oauth/2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      zone_id: world.zoneId,
      application_id: world.applicationId,
      client_secret: world.clientSecret,
      resource: world.resource,
      scope: 'agent:lifecycle',
    }),
  })
  return String(((await response.json()) as { access_token: string }).access_token)
}

test('16: a session mandate opens the Coordinator, and no resource server takes it for a resource mandate', async () => {
  const mandate = await sessionMandate()
  const started = await fetch(`${stage.urls.coordinator}/zones/${world.zoneId}/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mandate}`, 'content-type': 'application/json' },
    body: JSON.stringify({ application_id: world.applicationId }),
  })
  expect(started.status).toBe(201)
  const verifier = createMandateVerifier({
    issuer: stage.urls.sts,
    audience: stage.urls.sts,
    zoneId: world.zoneId,
    revocations: new InMemoryRevocationStore(),
  })
  expect(await verifier.authenticate(mandate)).toMatchObject({ ok: false, error: { code: 'invalid_token' } })
  expect(await verifier.require({ requiredUse: 'session' }).authenticate(mandate)).toMatchObject({
    ok: true,
    principal: { use: 'session', clientId: world.applicationId, zoneId: world.zoneId },
  })
})

test('61: from a client secret to a governed call, request by request; a spent bearer is refused', async () => {
  const { caracal, calls, bearers } = client()
  const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
  const { url } = caracal.gatewayRequest(world.resource, '/x')
  expect((await call(url)).status).toBe(200)
  expect(calls).toEqual([
    'POST sts',
    'POST coordinator',
    'POST coordinator',
    'POST coordinator',
    'POST sts',
    'GET gateway',
  ])
  expect((await call(url)).status).toBe(200)
  expect(calls.slice(6)).toEqual(['POST sts', 'GET gateway'])
  const replayed = await fetch(`${stage.urls.gateway}/x`, {
    headers: { authorization: bearers[0] ?? '', 'x-caracal-resource': world.resource },
  })
  expect(replayed.status).toBe(401)
  expect(await replayed.json()).toMatchObject({ error_description: 'token replay detected' })
  const status = await caracal.session(
    () =>
      caracal.session(async () => (await caracal.fetch(world.resource, '/', { scopes: ['x:read'] })).status, {
        authority: Authority.narrow(['x:read'], { resourceId: world.resource, ttlSeconds: 300 }),
        labels: [world.applicationId],
      }),
    { labels: [world.applicationId] },
  )
  expect(status).toBe(200)
  await caracal.close()
})

describe('62: clients of approvals, federation and Control', () => {
  test('a held mint waits for its approval and goes through with it', async () => {
    const gated = await createWorld(stage, {
      policy: (id) =>
        [
          '# caracal:data-document',
          'package caracal.authz',
          `app_ids := {"${id}": "${id}"}`,
          `grants := {"resource://x": {"application": "${id}", "roles": {"${id}": ["x:read"]}}}`,
          'risk := [{"scope": "x:read", "tier": "money"}]',
          'approval_tiers := [{"tier": "money", "approver": "operator", "ttl_seconds": 3600}]',
          '',
        ].join('\n'),
    })
    const { caracal } = client(gated)
    const held: string[] = []
    const mandate = await caracal.session(
      () =>
        caracal.session(
          () =>
            caracal.withApproval(async (approvalId) => {
              try {
                return await caracal.mintMandate(gated.resource, ['x:read'], { approvalId })
              } catch (error) {
                if (error instanceof ApprovalRequiredError) {
                  held.push(error.approvalId)
                  void admin.approvals.approve(gated.zoneId, error.approvalId)
                }
                throw error
              }
            }),
          {
            authority: Authority.narrow(['x:read'], { resourceId: gated.resource, ttlSeconds: 300 }),
            labels: [gated.applicationId],
          },
        ),
      { labels: [gated.applicationId] },
    )
    expect(decodeJwt(mandate.token)?.claims).toMatchObject({ use: 'gateway', scope: 'x:read' })
    expect(held).toHaveLength(1)
    expect(await caracal.waitForApproval(held[0] ?? '', { timeoutMs: 2000 })).toBe('consumed')
    await caracal.close()
  })

  test('federateSubject answers the authority record', async () => {
    await using idp = await createIdentityIssuer()
    await using sts = await createStsWorld({}, idp.server.egress)
    await idp.trust(sts.db, sts.zone.zoneId)
    const server = createAdaptorServer({ fetch: sts.sts.app.fetch }) as Parameters<typeof listen>[0]
    const stsUrl = await listen(server)
    await using caracal = Caracal.fromClientSecret({
      stsUrl,
      coordinatorUrl: stage.urls.coordinator,
      zoneId: sts.zone.zoneId,
      applicationId: sts.zone.application.id,
      clientSecret: sts.zone.application.secret,
    })
    const user = await caracal.federateSubject(await idp.idToken())
    expect(user.subjectAuthorityRecordId).toBe(decodeJwt(user.token)?.claims.sid)
    const rows = await sts.db.sql`
      select session_type from authority_records where id = ${user.subjectAuthorityRecordId}`
    expect([...rows]).toEqual([{ session_type: 'user' }])
    await close(server)
  })

  test('the Control client names no zone', async () => {
    await stage.admin('POST', `/zones/${world.zoneId}/resources`, {
      name: 'Control',
      identifier: 'caracal-control',
      scopes: ['control:app:read'],
    })
    const key = await stage.admin('POST', `/zones/${world.zoneId}/applications`, {
      name: 'automation',
      registration_method: 'managed',
      traits: ['control:invoke', 'control:scope:control:app:read'],
    })
    const forms: string[] = []
    const control = new ControlClient({
      controlUrl: stage.urls.control,
      stsUrl: stage.urls.sts,
      applicationId: String(key.id),
      clientSecret: String(key.client_secret),
      fetchImpl: (input, init) => {
        if (String(input).startsWith(stage.urls.sts)) forms.push(String(init?.body))
        return fetch(input, init)
      },
    })
    const listed = await control.invoke({ command: 'app', subcommand: 'list' })
    expect(JSON.stringify(listed)).toContain(world.applicationId)
    expect(forms.map((form) => new URLSearchParams(form).has('zone_id'))).toEqual([false])
  })
})
