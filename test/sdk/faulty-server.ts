/** STS, coordinator and gateway in one, which go wrong on request. Keeps count of what they really did. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { close, listen } from '../acceptance/clients/stage.ts'

export type Fault = 'ok' | '503' | 'reset' | 'reset-after' | 'half' | 'hang' | 'nonsense'
type Route = 'token' | 'start' | 'delegate' | 'end' | 'heartbeat' | 'gateway' | 'approval'

export interface FaultyServer extends AsyncDisposable {
  readonly url: string
  /** Faults of the next requests of a route, first to last; then all is well. */
  readonly faults: Partial<Record<Route, Fault[]>>
  readonly requests: {
    readonly route: Route
    readonly headers: IncomingMessage['headers']
    readonly body: string
  }[]
  readonly live: Set<string>
  mints: number
  retryAfter: string | null
  /** Of the session, as heartbeats are answered. */
  status: string
}

export async function openFaultyServer(): Promise<FaultyServer> {
  const live = new Set<string>()
  const byKey = new Map<string, string>()
  const requests: FaultyServer['requests'] = []

  function effect(route: Route, request: IncomingMessage, body: string): [number, unknown] {
    switch (route) {
      case 'token': {
        server.mints += 1
        const use = body.includes('agent_session_id') ? 'gateway' : 'session'
        const claims = Buffer.from(JSON.stringify({ use, jti: randomUUID() })).toString('base64url')
        const token = `${Buffer.from('{}').toString('base64url')}.${claims}.x`
        return [200, { access_token: token, token_type: 'Bearer', expires_in: 900, target_resources: [] }]
      }
      case 'start': {
        const key = String(request.headers['idempotency-key'])
        const id = byKey.get(key) ?? randomUUID()
        byKey.set(key, id)
        live.add(id)
        const service = body.includes('"lifecycle":"service"')
        const deadline = new Date(Date.now() + 3_600_000).toISOString()
        return [
          201,
          { agent_session_id: id, lease_generation: service ? 1 : 0, heartbeat_deadline_at: deadline },
        ]
      }
      case 'delegate':
        return [201, { delegation_edge_id: randomUUID(), scopes: ['x:read'], expires_at: null }]
      case 'end':
        live.delete(request.url?.split('/').at(-1) ?? '')
        return [204, null]
      case 'heartbeat':
        return [200, { agent: { lease_generation: 1, status: server.status } }]
      case 'approval':
        return [200, { id: 'a', state: 'approved', expires_at: null }]
      case 'gateway':
        return [200, { fine: true }]
    }
  }

  function answer(response: ServerResponse, fault: Fault, [status, body]: [number, unknown]): void {
    const text = body === null ? '' : JSON.stringify(body)
    if (fault === 'reset-after') response.socket?.resetAndDestroy()
    else if (fault === 'half') {
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length + 10 })
      response.write(text.slice(0, 5), () => response.socket?.end())
    } else if (fault === 'nonsense') response.writeHead(status === 204 ? 200 : status).end('<html>')
    else response.writeHead(status, { 'content-type': 'application/json' }).end(text)
  }

  const http = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const route = routeOf(request)
      requests.push({ route, headers: request.headers, body })
      const fault = server.faults[route]?.shift() ?? 'ok'
      if (fault === 'reset') response.socket?.resetAndDestroy()
      else if (fault === 'hang') return
      else if (fault === '503') {
        if (server.retryAfter !== null) response.setHeader('retry-after', server.retryAfter)
        response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":"unavailable"}')
      } else answer(response, fault, effect(route, request, body))
    })
  })
  const server: FaultyServer = {
    url: await listen(http),
    faults: {},
    requests,
    live,
    mints: 0,
    retryAfter: null,
    status: 'active',
    [Symbol.asyncDispose]: () => close(http),
  }
  return server
}

function routeOf(request: IncomingMessage): Route {
  const path = request.url ?? ''
  if (path.startsWith('/oauth')) return 'token'
  if (path.startsWith('/approvals')) return 'approval'
  if (!path.startsWith('/zones/')) return 'gateway'
  if (path.includes('/delegations')) return 'delegate'
  if (path.endsWith('/heartbeat')) return 'heartbeat'
  return request.method === 'DELETE' ? 'end' : 'start'
}
