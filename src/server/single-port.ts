/**
 * All roles of the process behind one listener (sdk-cli-console §1.1). A request belongs to the gateway
 * when it names a resource or is below `/gateway`, whatever else its path looks like: an upstream's
 * `/v1/models` must never reach the management API. Everything else goes by its path.
 */
import type { IncomingMessage } from 'node:http'
import type { Hono } from 'hono'
import { pathOf, withOneSlash } from '../platform/http/incoming.ts'
import type { HttpLimits, Role, RoleName } from '../platform/role.ts'
import type { ListenerOptions } from './listener.ts'
import { mergeMetrics } from './merge-metrics.ts'

export const gatewayPrefix = '/gateway'

/** First match. What no role claims is the management API's, which has the console and the 404s. */
const claims: readonly (readonly [RoleName, RegExp])[] = [
  ['sts', /^\/(?:oauth|\.well-known|approvals|v1\/run|internal\/policy|internal\/zones)\//],
  ['coordinator', /^\/(?:zones(?:\/|$)|v1\/verify$|stats$)/],
  ['audit', /^\/api\/audit\//],
  ['gateway', /^\/internal\/revocations\//],
]

const aggregates: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

interface NodeEnv {
  readonly incoming: IncomingMessage
}

/** Takes the prefix off; `null` when the target is not below it. */
export function withoutPrefix(target: string): string | null {
  if (target === gatewayPrefix) return '/'
  const next = target.startsWith(gatewayPrefix) ? target[gatewayPrefix.length] : undefined
  if (next === '/') return target.slice(gatewayPrefix.length)
  return next === '?' ? `/${target.slice(gatewayPrefix.length)}` : null
}

/** The role that a path belongs to. */
export function claimant(path: string): RoleName {
  return claims.find(([, pattern]) => pattern.test(path))?.[0] ?? 'control'
}

/** What `openListener` needs to serve all of `roles`. `appOf` answers the app of a role, the console's for control. */
export function singlePort(
  roles: readonly Role[],
  appOf: (role: Role) => Pick<Hono, 'fetch'>,
): Pick<ListenerOptions, 'app' | 'intercept' | 'limits' | 'forwards'> {
  const byName = new Map(roles.map((role) => [role.name, role]))
  const gateway = byName.get('gateway')
  const forGateway = new WeakSet<IncomingMessage>()
  const answer = (name: RoleName, request: Request, env: unknown) => {
    const role = byName.get(name)
    return role === undefined ? notHere(name) : appOf(role).fetch(request, env as object)
  }
  return {
    limits: widest(roles.map(({ limits }) => limits)),
    forwards: true,
    intercept(request, response) {
      const named = request.headers['x-caracal-resource'] !== undefined
      const target = named ? (request.url ?? '/') : withOneSlash(request.url ?? '/')
      const below = withoutPrefix(target)
      if (below === null && !named) {
        request.url = target
        const name = claimant(pathOf(target))
        return name !== 'gateway' && byName.get(name)?.intercept?.(request, response) === true
      }
      request.url = below ?? target
      forGateway.add(request)
      return gateway?.intercept?.(request, response) === true
    },
    app: {
      fetch(request, env) {
        const { incoming } = env as NodeEnv
        if (forGateway.has(incoming)) return answer('gateway', request, env)
        const path = pathOf(incoming.url ?? '/')
        return aggregates.has(path)
          ? aggregate(path, roles, (role) => appOf(role).fetch(within(request, path), env as object))
          : answer(claimant(path), request, env)
      },
    },
  }
}

/** The same question to one role: its own request, since a body and its headers are read once. */
function within(request: Request, path: string): Request {
  return new Request(new URL(path, 'http://localhost'), { headers: request.headers })
}

async function aggregate(
  path: string,
  roles: readonly Role[],
  ask: (role: Role) => Response | Promise<Response>,
): Promise<Response> {
  const answers = await Promise.all(
    roles.map(async (role) => {
      const response = await ask(role)
      return { name: role.name, status: response.status, text: await response.text() }
    }),
  )
  const refused = answers.find(({ status }) => status !== 200)
  if (path === '/metrics') {
    if (refused !== undefined) return new Response(refused.text, { status: refused.status })
    return new Response(mergeMetrics(answers, 'role'), {
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    })
  }
  const reports = answers.map(({ name, text }) => [name, text === '' ? {} : JSON.parse(text)] as const)
  const draining = reports.some(([, report]) => report.draining === true)
  const body = {
    ok: refused === undefined,
    ...(draining ? { draining } : {}),
    roles: Object.fromEntries(reports),
  }
  return Response.json(body, { status: refused?.status ?? 200 })
}

function notHere(role: RoleName): Response {
  return Response.json(
    { error: 'not_found', error_description: `role ${role} does not run in this process` },
    { status: 404 },
  )
}

/** The most that any role allows; each still has its own limits for bodies and for the time of its work. */
function widest(limits: readonly HttpLimits[]): HttpLimits {
  const most = (of: (one: HttpLimits) => number): number => Math.max(...limits.map(of))
  const bounded = limits.every(({ maxConnections }) => maxConnections)
  return {
    headerBytes: most((one) => one.headerBytes),
    headersTimeoutMs: most((one) => one.headersTimeoutMs),
    requestTimeoutMs: most((one) => one.requestTimeoutMs),
    keepAliveTimeoutMs: most((one) => one.keepAliveTimeoutMs),
    ...(bounded ? { maxConnections: most((one) => one.maxConnections ?? 0) } : {}),
  }
}
