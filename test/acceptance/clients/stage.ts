/** A whole server in the topology of the run, a zone to use it in, and an upstream that tells what reaches it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../../src/config/load.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import { roleNames } from '../../../src/platform/role.ts'
import { freePorts } from '../../../src/server/free-ports.ts'
import { startServer } from '../../../src/server/start.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { joinDeployment } from '../../fixtures/shared-deployment.ts'
import { inOneProcess } from '../../fixtures/topology.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Upstream {
  readonly url: string
  readonly seen: Seen[]
  /** Answers instead of the echo while set. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null
  close(): Promise<void>
}

/** Echoes what it gets as JSON. */
async function startUpstream(): Promise<Upstream> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body }
      seen.push(one)
      if (upstream.answer !== null) return upstream.answer(request, response)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(one))
    })
  })
  const upstream: Upstream = { url: await listen(server), seen, answer: null, close: () => close(server) }
  return upstream
}

export async function listen(server: HttpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function close(server: HttpServer): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

export interface Stage extends AsyncDisposable {
  readonly urls: Readonly<Record<'control' | 'coordinator' | 'sts' | 'gateway' | 'audit', string>>
  readonly adminToken: string
  readonly coordinatorToken: string
  readonly upstream: Upstream
  /** One call of the control API; throws outside 2xx. */
  admin(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>
}

/** The whole server in the topology of the run. */
export async function openStage(env: Readonly<Record<string, string>> = {}): Promise<Stage> {
  const server = await (inOneProcess ? openHere(env) : openDeployed(env))
  const upstream = await startUpstream()
  const { urls, adminToken, coordinatorToken } = server
  return {
    urls,
    adminToken,
    coordinatorToken,
    upstream,
    async admin(method, path, body) {
      const response = await fetch(`${urls.control}/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path} answered ${response.status} ${text}`)
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    },
    async [Symbol.asyncDispose]() {
      await upstream.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

type Running = Pick<Stage, 'urls' | 'adminToken' | 'coordinatorToken'> & AsyncDisposable

async function openHere(env: Readonly<Record<string, string>>): Promise<Running> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caracal-clients-'))
  const listeners = [...roleNames, 'console'] as const
  const ports = await freePorts(listeners.length)
  const settings = loadSettings(
    {
      CARACAL_DATA_DIR: dataDir,
      ...Object.fromEntries(listeners.map((name, at) => [`${name.toUpperCase()}_PORT`, String(ports[at])])),
      ...env,
    },
    { roles: roleNames },
  )
  const logger = createLogger({ level: 'fatal', env: 'test', version: '', maxFieldBytes: 0, sampleDebug: 1 })
  const server = await startServer(settings, { logger })
  return {
    urls: Object.fromEntries(
      roleNames.map((name) => [name, server.listeners[name]?.url.replace('127.0.0.1', 'localhost') ?? '']),
    ) as Stage['urls'],
    adminToken: settings.CARACAL_ADMIN_TOKEN ?? '',
    coordinatorToken: settings.CARACAL_COORDINATOR_TOKEN ?? '',
    async [Symbol.asyncDispose]() {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function openDeployed(env: Readonly<Record<string, string>>): Promise<Running> {
  const joined = await joinDeployment(env)
  return {
    urls: joined.urls,
    adminToken: joined.env.CARACAL_ADMIN_TOKEN ?? '',
    coordinatorToken: joined.env.CARACAL_COORDINATOR_TOKEN ?? '',
    [Symbol.asyncDispose]: () => joined[Symbol.asyncDispose](),
  }
}

export interface World {
  readonly zoneId: string
  readonly applicationId: string
  readonly clientSecret: string
  readonly resource: string
  readonly resourceId: string
}

export interface WorldOptions {
  readonly resource?: string
  readonly scopes?: readonly string[]
  readonly granted?: readonly string[]
  readonly provider?: Readonly<Record<string, unknown>>
  readonly upstreamUrl?: string
  readonly policy?: (applicationId: string) => string
}

/** Zone, application, provider, resource and an active policy that grants `granted` to the application. */
export async function createWorld(stage: Stage, options: WorldOptions = {}): Promise<World> {
  const resource = options.resource ?? 'resource://x'
  const scopes = options.scopes ?? ['x:read', 'x:write']
  const zoneId = String((await stage.admin('POST', '/zones', { name: 'Clients' })).id)
  const zone = `/zones/${zoneId}`
  const application = await stage.admin('POST', `${zone}/applications`, {
    name: 'agent',
    registration_method: 'managed',
  })
  const provider = await stage.admin(
    'POST',
    `${zone}/providers`,
    options.provider ?? { name: 'None', kind: 'none', config_json: {} },
  )
  const created = await stage.admin('POST', `${zone}/resources`, {
    name: 'X',
    identifier: resource,
    upstream_url: options.upstreamUrl ?? stage.upstream.url,
    scopes,
    credential_provider_id: provider.id,
    operation_enforcement: 'transport_uniform',
  })
  const applicationId = String(application.id)
  const content =
    options.policy?.(applicationId) ?? grants(applicationId, { [resource]: options.granted ?? scopes })
  await activate(stage, zoneId, content)
  return {
    zoneId,
    applicationId,
    clientSecret: String(application.client_secret),
    resource,
    resourceId: String(created.id),
  }
}

function grants(
  applicationId: string,
  scopesByResource: Readonly<Record<string, readonly string[]>>,
): string {
  const table = Object.fromEntries(
    Object.entries(scopesByResource).map(([resource, scopes]) => [
      resource,
      { application: applicationId, roles: { [applicationId]: scopes } },
    ]),
  )
  return [
    '# caracal:data-document',
    'package caracal.authz',
    'import rego.v1',
    `app_ids := ${JSON.stringify({ [applicationId]: applicationId })}`,
    `grants := ${JSON.stringify(table)}`,
    '',
  ].join('\n')
}

/** Makes `content` the zone's policy and waits until it is loaded. */
export async function activate(stage: Pick<Stage, 'admin'>, zoneId: string, content: string): Promise<void> {
  const zone = `/zones/${zoneId}`
  const suffix = Math.random().toString(36).slice(2, 8)
  const policy = await stage.admin('POST', `${zone}/policies`, { name: `policy-${suffix}`, content })
  const set = await stage.admin('POST', `${zone}/policy-sets`, { name: `set-${suffix}` })
  const version = await stage.admin('POST', `${zone}/policy-sets/${set.id}/versions`, {
    manifest: [{ policy_version_id: policy.version_id }],
  })
  const activation = await stage.admin('POST', `${zone}/policy-sets/${set.id}/activate`, {
    version_id: version.version_id,
  })
  const statusPath = String(activation.status_url).replace(/^\/v1/, '')
  await eventually(async () => (await stage.admin('GET', statusPath)).propagation_status === 'loaded', {
    what: 'the policy is loaded',
  })
}
