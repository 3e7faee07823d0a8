/** Runs every program of examples/ against a whole server. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AdminClient } from '../../../src/admin/index.ts'
import { Caracal } from '../../../src/sdk/index.ts'
import { freePorts } from '../../../src/server/free-ports.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { activate, close, listen, openStage, type Stage } from './stage.ts'

const examples = fileURLToPath(new URL('../../../examples/', import.meta.url))
const modelKey = 'sk-the-real-key'

let stage: Stage
let admin: AdminClient
let zone: string
let agent: { id: string; client_secret: string }
let worker: { id: string; client_secret: string }
let ports: number[]
const modelSaw: (string | undefined)[] = []
const model = createServer((request, response) => {
  modelSaw.push(request.headers.authorization)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const words = ['Hello', ', ', 'caracal', '!']
  const next = () => {
    const word = words.shift()
    if (word === undefined) return response.end('data: [DONE]\n\n')
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: word } }] })}\n\n`)
    setTimeout(next, 5)
  }
  next()
})

beforeAll(async () => {
  stage = await openStage()
  const modelUrl = await listen(model)
  ports = await freePorts(3)
  admin = new AdminClient({ apiUrl: stage.urls.control, adminToken: stage.adminToken })
  zone = (await admin.zones.create({ name: 'Examples' })).id
  const application = (name: string) =>
    admin.applications.create(zone, { name, registration_method: 'managed' })
  agent = await application('agent')
  worker = await application('worker')
  const provider = async (name: string, kind: string, config_json: object) =>
    (await admin.providers.create(zone, { name, kind, config_json })).id
  const bearer = await provider('Model', 'bearer_token', { bearer_token: modelKey })
  const mandate = await provider('Mandate', 'caracal_mandate', {})
  const none = await provider('None', 'none', {})
  const [expressPort, honoPort, mcpPort] = ports
  const resources: [string, string, string, string[]][] = [
    ['resource://openai', modelUrl, bearer, ['openai:chat']],
    ['resource://reports', `http://127.0.0.1:${expressPort}`, mandate, ['reports:read']],
    ['resource://notes', `http://127.0.0.1:${mcpPort}`, mandate, ['notes:read', 'notes:write']],
    ['resource://payments', stage.upstream.url, none, ['payments:send']],
    ['resource://plans', stage.upstream.url, none, ['plans:make']],
  ]
  for (const [identifier, upstream_url, credential_provider_id, scopes] of resources)
    await admin.resources.create(zone, {
      name: identifier.slice(11),
      identifier,
      upstream_url,
      credential_provider_id,
      scopes,
      operation_enforcement: 'transport_uniform',
    })
  expect(honoPort).toBeGreaterThan(0)
  await owned({ 'resource://reports': agent.id })
})
afterAll(async () => {
  await close(model)
  await stage?.[Symbol.asyncDispose]()
})

const scopesOf: Readonly<Record<string, readonly string[]>> = {
  'resource://openai': ['openai:chat'],
  'resource://reports': ['reports:read'],
  'resource://notes': ['notes:read'],
  'resource://payments': ['payments:send'],
  'resource://plans': ['plans:make'],
}

/** The agent owns everything but what `others` says; payments need a person. */
function owned(others: Readonly<Record<string, string>>): Promise<void> {
  const grants = Object.fromEntries(
    Object.entries(scopesOf).map(([resource, scopes]) => {
      const owner = others[resource] ?? agent.id
      return [resource, { application: owner, roles: { [owner]: scopes } }]
    }),
  )
  return activate(
    stage,
    zone,
    [
      '# caracal:data-document',
      'package caracal.authz',
      'import rego.v1',
      `app_ids := ${JSON.stringify({ [agent.id]: agent.id, [worker.id]: worker.id })}`,
      `grants := ${JSON.stringify(grants)}`,
      'risk := [{"scope": "payments:send", "tier": "money"}]',
      'approval_tiers := [{"tier": "money", "approver": "operator", "ttl_seconds": 3600, "privacy": "identified"}]',
      '',
    ].join('\n'),
  )
}

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

interface Running {
  readonly finished: Promise<number | null>
  output(): string
}

function start(file: string, env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [`${examples}${file}`], {
    env: {
      PATH: process.env.PATH,
      CARACAL_CONFIG_HOME: '/nonexistent',
      CARACAL_ZONE_ID: zone,
      CARACAL_APPLICATION_ID: agent.id,
      CARACAL_APP_CLIENT_SECRET: agent.client_secret,
      CARACAL_STS_URL: stage.urls.sts,
      CARACAL_COORDINATOR_URL: stage.urls.coordinator,
      CARACAL_GATEWAY_URL: stage.urls.gateway,
      ...env,
    },
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  return {
    finished: new Promise((resolve) => child.once('close', (code) => resolve(code))),
    output: () => output,
  }
}

const listening = (service: Running) =>
  eventually(() => (service.output().includes('listening') ? true : null), { timeoutMs: 15_000 }).catch(
    () => {
      throw new Error(`the service does not listen: ${service.output()}`)
    },
  )

function client(): Caracal {
  return Caracal.fromClientSecret({
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    zoneId: zone,
    applicationId: agent.id,
    clientSecret: agent.client_secret,
  })
}

it('openai-agent.js streams an answer without ever holding the key', async () => {
  const run = start('openai-agent.js')
  expect(await run.finished, run.output()).toBe(0)
  expect(run.output()).toBe('Hello, caracal!\n')
  expect(modelSaw).toEqual([`Bearer ${modelKey}`])
})

describe.each([
  ['express-service.js', 0],
  ['hono-service.js', 1],
])('%s', (file, at) => {
  it('serves mandates and nothing else', async () => {
    const port = String(ports[at])
    const [resource] = (await admin.resources.list(zone)).filter(
      ({ identifier }) => identifier === 'resource://reports',
    )
    await admin.resources.patch(zone, resource?.id ?? '', { upstream_url: `http://127.0.0.1:${port}` })
    await listening(start(file, { PORT: port }))
    expect((await fetch(`http://127.0.0.1:${port}/daily`)).status).toBe(401)
    await using caracal = client()
    const call = caracal.applicationTransport('resource://reports', { scopes: ['reports:read'] })
    const answer = await eventually(async () => {
      const response = await call(caracal.gatewayRequest('resource://reports', '/daily').url)
      return response.status === 200 ? response : null
    })
    expect(await answer.json()).toMatchObject({ report: 'all is well', readBy: agent.id })
  })
})

it('mcp-server.js: one tool works, the one without its scope fails alone', async () => {
  const port = String(ports[2])
  await listening(start('mcp-server.js', { PORT: port }))
  const direct = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' })
  expect(direct.status).toBe(401)
  await using caracal = client()
  const call = caracal.applicationTransport('resource://notes', { scopes: ['notes:read'] })
  const tool = async (name: string) => {
    const response = await call(caracal.gatewayRequest('resource://notes', '/').url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
    })
    const text = await response.text()
    return `${response.status} ${text}`
  }
  expect(await tool('read_notes')).toContain('the caracal hunts at night')
  const refused = await tool('clear_notes')
  expect(refused).toContain('insufficient_scope')
  expect(refused).toContain('"isError":true')
})

it('two-applications.js: delegated, then revoked', async () => {
  await owned({ 'resource://reports': worker.id })
  const port = String(ports[0])
  const [resource] = (await admin.resources.list(zone)).filter(
    ({ identifier }) => identifier === 'resource://reports',
  )
  await admin.resources.patch(zone, resource?.id ?? '', { upstream_url: `http://127.0.0.1:${port}` })
  await listening(start('express-service.js', { PORT: port }))
  const run = start('two-applications.js', {
    CARACAL_APP_RESOURCES: 'resource://plans',
    WORKER_APPLICATION_ID: worker.id,
    WORKER_CLIENT_SECRET: worker.client_secret,
  })
  expect(await run.finished, run.output()).toBe(0)
  expect(run.output()).toMatch(/^delegated: 200\nrevoked: delegation [0-9a-f-]+ is /)
})

describe('human-approval.js', () => {
  const decide = async (run: Running, decision: 'approve' | 'reject') => {
    const id = await eventually(() => /waiting for approval (\S+)/.exec(run.output())?.[1] ?? null, {
      timeoutMs: 15_000,
    })
    await admin.approvals[decision](zone, id)
  }

  it('pays once a person approved', async () => {
    const run = start('human-approval.js')
    await decide(run, 'approve')
    expect(await run.finished, run.output()).toBe(0)
    expect(run.output()).toContain('approval: approved\npaid: 200\n')
    expect(stage.upstream.seen.filter(({ url }) => url === '/transfers')).toHaveLength(1)
  })

  it('does not when a person says no', async () => {
    const run = start('human-approval.js')
    await decide(run, 'reject')
    expect(await run.finished).toBe(1)
    expect(run.output()).toContain('approval: rejected')
    expect(stage.upstream.seen.filter(({ url }) => url === '/transfers')).toHaveLength(1)
  })
})
