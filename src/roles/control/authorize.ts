/**
 * What an admin token may do (control-api §3.3), decided from method and path alone,
 * in the order of the table and before any object is looked up.
 */
import { CaracalError } from '../../platform/errors.ts'
import type { Principal } from './principal.ts'

export interface GateRequest {
  readonly method: string
  readonly path: string
}

export interface GateRules {
  /** `API_READ_TOKEN_MAY_REVEAL` */
  readonly readTokenMayReveal: boolean
}

const refused = (code: string, message: string) => new CaracalError(code, { status: 403, message })

export const isRead = (method: string) => method === 'GET' || method === 'HEAD'

/** Zone named by the path; `null` without one or when it does not decode. */
export function pathZone(path: string): string | null {
  const match = /^\/v1\/zones\/([^/]+)/.exec(path)
  if (match?.[1] === undefined) return null
  try {
    return decodeURIComponent(match[1])
  } catch {
    return null
  }
}

function isReadOnlyRequest({ method, path }: GateRequest): boolean {
  return (
    isRead(method) || (method === 'POST' && (path === '/v1/policies/validate' || path === '/v1/auth/logout'))
  )
}

/** A read whose answer holds a secret that mints. */
export function isReveal({ method, path }: GateRequest): boolean {
  return (
    isRead(method) &&
    /^\/v1\/zones\/[^/]+\/(applications\/[^/]+\/client-secret|workloads\/[^/]+\/secret)$/.test(path)
  )
}

function isApprovalDecision({ method, path }: GateRequest): boolean {
  return (
    method === 'POST' &&
    /^\/v1\/zones\/[^/]+\/(approvals|step-up-challenges)\/[^/]+\/(approve|reject)$/.test(path)
  )
}

/** Paths a zone token may use although they name no zone. */
function isZoneless({ method, path }: GateRequest): boolean {
  if (path === '/v1/auth/me' || path === '/v1/auth/logout') return true
  if (method === 'POST') return path === '/v1/policies/validate'
  return isRead(method) && /^\/v1\/policy-templates(\/|$)/.test(path)
}

/** Checks 2 to 5. Throws the 403 of the first rule that refuses. */
export function authorizeAdminToken(principal: Principal, request: GateRequest, rules: GateRules): void {
  const readOnly = isReadOnlyRequest(request)
  const decision = isApprovalDecision(request)
  const reveals = isReveal(request) && !rules.readTokenMayReveal
  if (principal.capability === 'read' && (!readOnly || reveals)) {
    throw refused('admin_token_read_only', 'this token may only read')
  }
  if (principal.capability === 'approve' && reveals) {
    throw refused('admin_token_read_only', 'this token may not reveal secrets')
  }
  if (principal.capability === 'approve' && !readOnly && !decision) {
    throw refused('admin_token_approve_only', 'this token may only decide approvals')
  }
  if (decision && principal.capability === 'write' && !principal.bootstrap) {
    throw refused('approve_capability_required', 'deciding an approval needs the capability approve')
  }
  if (principal.zoneId !== null && !isZoneless(request) && pathZone(request.path) !== principal.zoneId) {
    throw refused('admin_token_zone_mismatch', 'this token is for another zone')
  }
}

/** Whether a successful request of this kind changed something, and so must be in the administrative ledger. */
export function isMutation({ method, path }: GateRequest): boolean {
  if (method === 'POST' || method === 'PUT' || method === 'PATCH' || method === 'DELETE') return true
  return isRead(method) && path.endsWith('/provider-connections/oauth/callback')
}
