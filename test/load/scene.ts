/** Zones, identities and delegations that the sections share; everything made over HTTP. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { type Agent, createAgent } from '../../src/cli/demo/agent.ts'
import { readScope, resource, type Setup, setUp } from '../../src/cli/demo/operator.ts'
import type { ServerUnderLoad } from './server.ts'
import { type WirePool, wirePool } from './wire.ts'

export interface Actor {
  readonly identity: Setup
  readonly agent: Agent
  readonly lifecycle: string
  readonly session: string
  readonly delegation: string
  /** Form body of a gateway mint. */
  readonly mintBody: string
}

export interface Scene extends AsyncDisposable {
  readonly actors: readonly Actor[]
  /** For what is sent in quantities. */
  readonly wires: { readonly sts: WirePool; readonly gateway: WirePool }
  readonly sts: Pool
  readonly gateway: Pool
  readonly coordinator: Pool
  readonly control: Pool
  readonly upstreamUrl: string
}

/** What a scene needs to know of a deployment. */
export type Addresses = Pick<ServerUnderLoad, 'urls' | 'adminToken'>

/** Told the request id of every call that reached the upstream. */
export type OnArrival = (requestId: string) => void

/** `count` zones with one application each, so that per-zone locks and limits are spread as in real use. */
export async function setScene(
  server: Addresses,
  count: number,
  onArrival: OnArrival = () => undefined,
): Promise<Scene> {
  const upstream = await startUpstream(onArrival)
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const actors: Actor[] = []
  for (let index = 0; index < count; index += 1) actors.push(await createActor(server, upstreamUrl, index))
  const pool = (url: string) => new Pool(url, { connections: 64, pipelining: 1 })
  const wires = { sts: wirePool(server.urls.sts), gateway: wirePool(server.urls.gateway) }
  const sts = pool(server.urls.sts)
  const gateway = pool(server.urls.gateway)
  const coordinator = pool(server.urls.coordinator)
  const control = pool(server.urls.control)
  return {
    actors,
    wires,
    sts,
    gateway,
    coordinator,
    control,
    upstreamUrl,
    async [Symbol.asyncDispose]() {
      wires.sts[Symbol.dispose]()
      wires.gateway[Symbol.dispose]()
      await Promise.all([sts.close(), gateway.close(), coordinator.close(), control.close()])
      upstream.closeAllConnections()
      upstream.close()
    },
  }
}

async function createActor(server: Addresses, upstreamUrl: string, index: number): Promise<Actor> {
  const operator = { controlUrl: server.urls.control, adminToken: server.adminToken }
  const identity = await setUp(operator, { url: upstreamUrl, apiKey: 'load-key' }, `Load ${index}`)
  const agent = createAgent(server.urls, identity)
  const lifecycle = await agent.bootstrap()
  const source = await agent.startSession(lifecycle)
  const session = await agent.startSession(lifecycle)
  const delegation = await agent.delegate(lifecycle, source, session, [readScope])
  const mintBody = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    zone_id: identity.zoneId,
    application_id: identity.applicationId,
    client_secret: identity.clientSecret,
    resource,
    agent_session_id: session,
    delegation_edge_id: delegation,
    scope: readScope,
    ttl_seconds: '900',
  }).toString()
  return { identity, agent, lifecycle, session, delegation, mintBody }
}

/** Answers at once, or with `?stream` ticks until the caller leaves, or so many of them with `?stream&ticks=n`. */
function startUpstream(onArrival: OnArrival): Promise<Server> {
  const body = JSON.stringify({ items: [{ sku: 'lynx-1', stock: 7 }] })
  const server = createServer((request, response) => {
    onArrival(String(request.headers['x-request-id']))
    if (request.url?.includes('stream') === true) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let left = Number(/[?&]ticks=(\d+)/.exec(request.url)?.[1] ?? Number.POSITIVE_INFINITY)
      const tick = setInterval(() => {
        left -= 1
        if (left >= 0) response.write('data: tick\n\n')
        else response.end()
      }, 100)
      response.on('close', () => clearInterval(tick))
      return
    }
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
