/**
 * Runs one declared operation for a known principal: permission, zone, input, handler,
 * in that order (control-api §2.3). HTTP and Control invoke both come through here, so
 * neither can be a side door.
 */
import { CaracalError } from '../../platform/errors.ts'
import type { ErrorCode } from '../../platform/http/errors/registry.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { parseWith } from '../../platform/http/validate.ts'
import { idPattern } from '../../platform/ids.ts'
import { attribute, type Claim } from './attribution.ts'
import { type Control, reading, type Scope } from './control.ts'
import { notFound } from './not-found.ts'
import type { Principal } from './principal.ts'
import { bindingsGrant, type Permission } from './rbac/rules.ts'
import type { Reply, Route } from './route.ts'
import { findZone } from './store/zones.ts'

/** What the caller sent, before anything of it is trusted. */
export interface Submission {
  readonly principal: Principal
  readonly requestId: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  /** `undefined` without a body. */
  readonly body: unknown
  readonly signal: AbortSignal
  readonly clientIp: string
  readonly accept: string
  /** Whose name the change shall carry, as far as the caller may say so. */
  readonly claim?: Claim
}

function checkParams(params: Readonly<Record<string, string>>, code: ErrorCode): void {
  for (const [name, value] of Object.entries(params)) {
    if (idPattern.test(value)) continue
    throw errorOf(code, {
      body: { details: { issues: [{ path: [name], message: 'has an invalid format' }] } },
    })
  }
}

/** Zone an operation acts in: the `{zoneId}` of its path, or `{id}` of a zone itself. */
function zoneOf(route: Route, params: Readonly<Record<string, string>>): string {
  if (params.zoneId !== undefined) return params.zoneId
  return route.path.startsWith('/v1/zones/{id}') ? (params.id ?? '') : ''
}

/** Throws 403 `forbidden` when role bindings decide for this principal and none allows the operation. */
function requirePermission(
  principal: Principal,
  permission: Permission | null,
  zone: string,
  id: string,
): void {
  if (principal.bindings === null || permission === null) return
  const zoneId = zone === '' ? null : zone
  const name = id === '' ? null : id
  const confined = principal.zoneId !== null && principal.zoneId !== zoneId
  // A collection of zones is filtered to what the principal may see instead of refused.
  const filtered =
    permission.apiGroup === 'core' && permission.resource === 'zones' && permission.verb === 'list'
  if (filtered && (principal.bindings.length > 0 || principal.zoneId !== null)) return
  if (!confined && bindingsGrant(principal.bindings, permission, zoneId, name)) return
  throw forbidden(permission, zoneId)
}

/** Throws 403 `forbidden` unless the principal may also do `permission` (a second verb of the same call, such as `export`). */
export function requireAlso(principal: Principal, permission: Permission, zone: string): void {
  requirePermission(principal, permission, zone, '')
}

function forbidden(permission: Permission, zoneId: string | null) {
  return errorOf('forbidden', {
    body: {
      details: {
        api_group: permission.apiGroup,
        resource: permission.resource,
        verb: permission.verb,
        zone_id: zoneId,
      },
    },
  })
}

/** Zones a principal may list, comma-separated; `null` when every zone. */
export function visibleZones(principal: Principal): string | null {
  if (principal.bindings === null) return principal.zoneId
  if (principal.zoneId !== null) return principal.zoneId
  const permission = { apiGroup: 'core', resource: 'zones', verb: 'get' }
  if (bindingsGrant(principal.bindings, permission, null, null)) return null
  const zones = new Set<string>()
  for (const { zoneId } of principal.bindings) {
    if (zoneId !== null && bindingsGrant(principal.bindings, permission, zoneId, zoneId)) zones.add(zoneId)
  }
  // An empty setting sees nothing, which is what no visible zone means.
  return [...zones].join(',')
}

/** Row-level security of a call (control-api §12.7). */
function scopeFor(principal: Principal, zone: string, path: string): Scope {
  if (path === '/v1/zones') return { zone: visibleZones(principal) }
  if (principal.zoneId !== null) return { zone: principal.zoneId }
  const confined = principal.bindings !== null || principal.actsFor !== undefined
  if (confined && zone !== '') return { zone }
  return { zone: null }
}

/** Throws `CaracalError`; the reply is not yet recorded or sent. */
export async function perform(control: Control, route: Route, submission: Submission): Promise<Reply> {
  try {
    return await attempt(control, route, submission)
  } catch (error) {
    const reply = error instanceof CaracalError ? route.refused?.(error, submission, control) : null
    if (reply === null || reply === undefined) throw error
    return reply
  }
}

async function attempt(control: Control, route: Route, submission: Submission): Promise<Reply> {
  const { principal, params } = submission
  checkParams(params, route.invalidId ?? 'invalid_params')
  const zoneId = zoneOf(route, params)
  const id = params.id ?? ''
  requirePermission(principal, route.permission, zoneId, id)
  const scope = scopeFor(principal, zoneId, route.path)
  if (route.needsLiveZone === true) await requireLiveZone(control, scope, zoneId)
  const invalid = route.invalid ?? 'invalid_body'
  const queryCode = route.method === 'GET' ? (route.invalid ?? 'invalid_query') : invalid
  const query = route.query === null ? undefined : parseWith(route.query, submission.query, queryCode)
  const given = submission.body === undefined && route.bodyOptional === true ? {} : submission.body
  const body = route.body === null ? undefined : parseWith(route.body, given, invalid)
  const attribution = await attribute(control.db, principal, submission.claim, zoneId)
  return route.handle(control, {
    principal,
    requestId: submission.requestId,
    zoneId,
    id,
    params,
    query,
    body,
    attribution,
    scope,
    signal: submission.signal,
    clientIp: submission.clientIp,
    accept: submission.accept,
  })
}

async function requireLiveZone(control: Control, scope: Scope, zoneId: string): Promise<void> {
  const zone = await reading(control, { scope }, (db) => findZone(db, zoneId))
  if (zone === null) throw notFound('zone_not_found')
}
