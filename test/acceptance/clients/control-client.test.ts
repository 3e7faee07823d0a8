/** sdk-cli-console §10.2: the control client against a server that lets automation in. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ControlClient } from '../../../src/admin/index.ts'
import { workingDirectory } from '../../cli/process.ts'
import { openStage, type Stage } from './stage.ts'

const gate = join(workingDirectory(), 'gate')
const scopes = ['control:app:read', 'control:app:write', 'control:app:delete', 'control:resource:read']
let stage: Stage
let zone: string
let key: { readonly id: string; readonly client_secret: string }

beforeAll(async () => {
  writeFileSync(gate, '')
  stage = await openStage({ CARACAL_CONTROL_ENABLED: 'true', CONTROL_GATE_FILE: gate })
  zone = String((await stage.admin('POST', '/zones', { name: 'Automated' })).id)
  await stage.admin('POST', `/zones/${zone}/resources`, {
    name: 'Control',
    identifier: 'caracal-control',
    scopes: ['control:app:read', 'control:app:write', 'control:app:delete', 'control:resource:read'],
  })
  key = (await stage.admin('POST', `/zones/${zone}/applications`, {
    name: 'automation',
    registration_method: 'managed',
    traits: ['control:invoke', ...scopes.map((scope) => `control:scope:${scope}`)],
  })) as unknown as typeof key
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

/** A client whose requests are kept, answers included. */
function client(secret = key.client_secret) {
  const sent: { path: string; headers: Headers; body: string }[] = []
  const control = new ControlClient({
    controlUrl: `${stage.urls.control}/`,
    stsUrl: `${stage.urls.sts}/`,
    applicationId: key.id,
    clientSecret: secret,
    fetchImpl: (input, init) => {
      sent.push({
        path: new URL(String(input)).pathname,
        headers: new Headers(init?.headers),
        body: String(init?.body),
      })
      return fetch(input, init)
    },
  })
  return { control, sent }
}

it('one command is one token with just its scope, and one call', async () => {
  const { control, sent } = client()
  const created = (await control.invoke({
    command: 'app',
    subcommand: 'create',
    flags: { name: 'made by automation' },
    requestId: 'control-client-1',
    ttlSeconds: 60,
  })) as { id: string; client_secret: string }
  expect(created.client_secret).toMatch(/^cs_[A-Za-z0-9_-]{43}$/)
  expect(sent.map(({ path }) => path)).toEqual(['/oauth/2/token', '/v1/control/invoke'])
  const form = Object.fromEntries(new URLSearchParams(sent[0]?.body))
  expect(form).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    application_id: key.id,
    client_secret: key.client_secret,
    resource: 'caracal-control',
    scope: 'control:app:write',
    ttl_seconds: '60',
  })
  expect(sent.map(({ headers }) => headers.get('x-request-id'))).toEqual([
    'control-client-1',
    'control-client-1',
  ])

  const listed = (await control.invoke({ command: 'app', subcommand: 'list' })) as { id: string }[]
  expect(listed.map(({ id }) => id).sort()).toEqual([key.id, created.id].sort())
  const got = await control.invoke({ command: 'app', subcommand: 'get', flags: { id: created.id } })
  expect(got).toMatchObject({ id: created.id, name: 'made by automation' })
  await control.invoke({ command: 'app', subcommand: 'delete', flags: { id: created.id } })
  const left = (await control.invoke({ command: 'app', subcommand: 'list' })) as { id: string }[]
  expect(left.map(({ id }) => id)).toEqual([key.id])
  // What the management API shows is what the commands did.
  const { items } = (await stage.admin('GET', `/zones/${zone}/applications`)) as { items: { id: string }[] }
  expect(items.map(({ id }) => id)).toEqual([key.id])
})

it('a refusal of the call says what, at which stage, and that it is final', async () => {
  const { control, sent } = client()
  await expect(
    control.invoke({ command: 'app', subcommand: 'get', flags: { id: 'nope' } }),
  ).rejects.toMatchObject({ stage: 'invoke', status: 404, code: 'not_found', definitive: true })
  await expect(
    control.invoke({
      command: 'app',
      subcommand: 'create',
      flags: { name: 'x' },
      scopes: ['control:app:read'],
    }),
  ).rejects.toMatchObject({
    stage: 'invoke',
    status: 403,
    code: 'denied',
    reason: 'missing scope control:app:write',
  })
  // Nothing is ever repeated.
  expect(sent).toHaveLength(4)
  await expect(control.invoke({ command: 'grant', subcommand: 'list' })).rejects.toMatchObject({
    stage: 'token',
    definitive: true,
  })
})

it('a wrong secret and a closed gate are told apart', async () => {
  await expect(
    client('cs_wrong').control.invoke({ command: 'app', subcommand: 'list' }),
  ).rejects.toMatchObject({
    stage: 'token',
    status: 401,
    code: 'access_denied',
  })
  rmSync(gate)
  await expect(client().control.invoke({ command: 'app', subcommand: 'list' })).rejects.toMatchObject({
    stage: 'invoke',
    status: 503,
    code: 'control_disabled',
    definitive: false,
  })
  writeFileSync(gate, '')
})
