/**
 * The `/v1` surface: limits, body, credential, permission, handler, ledger, answer, in
 * the order of control-api §2.3. A change is recorded before its answer leaves; a
 * refusal is recorded afterwards and never changes the answer.
 */
import type { Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { AdminAudit } from '../../platform/admin-audit/gate.ts'
import { adminAuditGate } from '../../platform/admin-audit/gate.ts'
import { readJson } from '../../platform/http/body.ts'
import { type ErrorCode, errorOf } from '../../platform/http/errors/registry.ts'
import { honoPath } from '../../platform/http/operation.ts'
import { countRequest } from '../../platform/http/rate-limit.ts'
import { requestContext } from '../../platform/http/request-context.ts'
import { ACCOUNT_HEADER } from './account-assertion.ts'
import { actingFor, confineToAccount } from './account-reach.ts'
import { claimOf } from './attribution.ts'
import { authorizeAdminToken, isMutation, pathZone } from './authorize.ts'
import type { Control } from './control.ts'
import type { Credentials } from './credentials.ts'
import { ledgerGate, ledgerRules } from './ledger.ts'
import { perform } from './perform.ts'
import type { Principal } from './principal.ts'
import { LONGEST_WAIT_SECONDS } from './retry-after.ts'
import type { Reply, Route } from './route.ts'
import { refuseReservedZone, type ZoneStandings } from './zone-standings.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** Known from authentication on; the ledger reads it after the handler ran. */
    controlPrincipal: Principal | undefined
  }
}

export interface HttpDeps {
  readonly control: Control
  readonly credentials: Credentials
  readonly audit: AdminAudit
  readonly standings: ZoneStandings
}

const CALLBACK = /^\/v1\/zones\/[^/]+\/provider-connections\/oauth\/callback$/

/** Registers every route, and the answer for unknown paths under `/v1`, which still need a credential. */
export function mountRoutes(app: Hono, routes: readonly Route[], deps: HttpDeps): void {
  app.use(
    '/v1/*',
    adminAuditGate({
      audit: deps.audit,
      ...ledgerGate,
      zoneOf: (c) => pathZone(c.req.path),
      summarize: true,
      classify: (c) => (CALLBACK.test(c.req.path) ? 'mutation' : null),
    }),
  )
  for (const route of routes) {
    app.on(route.method, honoPath(route.path), (c) => serve(c, route, deps))
  }
  app.all('/v1/*', (c) => serve(c, null, deps))
}

async function serve(c: Context, route: Route | null, deps: HttpDeps): Promise<Response> {
  const reply = await answer(c, route, deps)
  if (reply.status === 201 && isCollection(c.req.path)) c.set('adminAuditFacts', createdFacts(reply.body))
  return send(c, reply)
}

/** True when the path ends in what was added to: the answer's id is then the object the record is about. */
function isCollection(path: string): boolean {
  const last = path.slice(path.lastIndexOf('/') + 1)
  return last === 'dcr' || ledgerRules.collections.has(last)
}

/** The made object's id, read from the answer before it is text; a made zone is its own zone. */
function createdFacts(body: unknown): { entityId?: string } {
  const id = typeof body === 'object' && body !== null ? (body as { id?: unknown }).id : undefined
  return typeof id === 'string' ? { entityId: id } : {}
}

async function answer(c: Context, route: Route | null, deps: HttpDeps): Promise<Reply> {
  const { control } = deps
  const { clientIp, requestId } = requestContext(c)
  await limitAddress(c, control)
  const { value: body } = await readJson(c, {
    emptyJson: 'refused',
    ...(route?.invalid === undefined ? {} : { tooDeep: route.invalid as ErrorCode }),
  })
  const isPublic = route?.access === 'public'
  const principal = isPublic ? null : await principalOf(c, deps)
  if (principal !== null) {
    c.set('controlPrincipal', principal)
    await gate(c, principal, deps)
  }
  if (route === null) throw errorOf('not_found')
  return perform(control, route, {
    principal: principal ?? deps.credentials.anonymous,
    requestId,
    params: parametersOf(c, route),
    query: queryOf(c),
    body,
    signal: c.req.raw.signal,
    clientIp,
    accept: c.req.header('accept') ?? '',
    ...(principal === null ? {} : { claim: claimOf(c, principal) }),
  })
}

async function principalOf(c: Context, { control, credentials }: HttpDeps): Promise<Principal> {
  const proven = await credentials.principalOf(c, requestContext(c).clientIp)
  return actingFor(proven, c.req.header(ACCOUNT_HEADER), control.settings.CARACAL_ADMIN_TOKEN)
}

async function gate(c: Context, principal: Principal, deps: HttpDeps): Promise<void> {
  const request = { method: c.req.method, path: c.req.path }
  const { settings } = deps.control
  if (principal.bindings === null) {
    authorizeAdminToken(principal, request, { readTokenMayReveal: settings.API_READ_TOKEN_MAY_REVEAL })
  }
  if (!principal.bootstrap && isMutation(request)) {
    await refuseReservedZone(deps.standings, pathZone(request.path))
  }
  if (principal.derived) await requireAccount(c, principal, deps)
  await limitActor(c, deps.control, principal)
}

/** An assertion that proves nothing is a failed attempt of its address, as any other credential is. */
async function requireAccount(c: Context, { actsFor }: Principal, deps: HttpDeps): Promise<void> {
  if (actsFor === undefined) {
    const { failure } = deps.credentials.authenticator
    throw await failure(errorOf('invalid_account_assertion'), requestContext(c).clientIp)
  }
  await confineToAccount(actsFor, { method: c.req.method, path: c.req.path }, deps.standings)
}

function limitAddress(c: Context, control: Control): Promise<void> {
  return countRequest(c, {
    ephemera: control.ephemera,
    limit: control.settings.API_V1_RATE_LIMIT_PER_MIN,
    key: () => `api:v1_rl:ip:${requestContext(c).clientIp}`,
    onUnavailable: 'skip',
    retryAfterCap: LONGEST_WAIT_SECONDS,
  })
}

function limitActor(c: Context, control: Control, principal: Principal): Promise<void> {
  return countRequest(c, {
    ephemera: control.ephemera,
    limit: control.settings.API_V1_RATE_LIMIT_PER_MIN,
    key: () => `api:v1_rl:actor:${principal.id}`,
    onUnavailable: 'skip',
    retryAfterCap: LONGEST_WAIT_SECONDS,
  })
}

function parametersOf(c: Context, route: Route): Record<string, string> {
  const params: Record<string, string> = {}
  for (const [, name] of route.path.matchAll(/\{(\w+)\}/g)) {
    if (name !== undefined) params[name] = c.req.param(name) ?? ''
  }
  return params
}

/** A repeated key keeps all its values, so that a scalar schema refuses it. */
function queryOf(c: Context): Record<string, unknown> {
  const query: Record<string, unknown> = {}
  for (const [name, values] of Object.entries(c.req.queries())) {
    query[name] = values.length === 1 ? values[0] : values
  }
  return query
}

function send(c: Context, reply: Reply): Response {
  for (const [name, value] of Object.entries(reply.headers ?? {})) c.header(name, value)
  const status = reply.status as ContentfulStatusCode
  if (reply.body === undefined) return c.body(null, reply.status as 204)
  if (reply.contentType !== undefined) {
    c.header('content-type', reply.contentType)
    return c.body(String(reply.body), status)
  }
  return c.json(reply.body, status)
}
