/** Minting and revoking admin tokens (control-api §7.1). The token leaves once; its lookup and hash stay. */
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, reading, writing } from './control.ts'
import { generateSecret } from './custody.ts'
import { iamInvalidated } from './events.ts'
import { found, notFound } from './not-found.ts'
import { attributionOf, type Capability, type Principal } from './principal.ts'
import { guardToken } from './rbac/escalation.ts'
import { bindingsGrant } from './rbac/rules.ts'
import type { Call } from './route.ts'
import { insertAdminToken, revokeAdminToken } from './store/admin-tokens.ts'
import { findZone } from './store/zones.ts'

export interface TokenRequest {
  readonly name: string
  readonly scope: 'global' | 'zone'
  readonly zone_id?: string | undefined
  readonly capability: Capability
}

function requireManager(principal: Principal): void {
  if (principal.zoneId !== null) throw errorOf('admin_token_management_requires_global')
  if (principal.derived) throw errorOf('admin_token_management_forbidden_for_derived_token')
}

/** A configuration writer must not appoint its own approver (control-api §15, D9). */
function mayMintApprove(control: Control, principal: Principal): boolean {
  if (principal.bootstrap || control.settings.API_WRITE_TOKEN_MAY_MINT_APPROVE) return true
  if (principal.bindings === null) return false
  return bindingsGrant(
    principal.bindings,
    { apiGroup: 'approval', resource: 'approvals', verb: 'approve' },
    null,
    null,
  )
}

function checkZonePair(request: TokenRequest): void {
  if (request.scope === 'zone' && request.zone_id === undefined) throw errorOf('zone_id_required')
  if (request.scope === 'global' && request.zone_id !== undefined) {
    throw errorOf('zone_id_not_allowed_for_global')
  }
}

/** The token's row with the token itself, this once. */
export async function mintAdminToken(control: Control, call: Call<unknown, unknown>, request: TokenRequest) {
  requireManager(call.principal)
  checkZonePair(request)
  if (request.capability === 'approve' && !mayMintApprove(control, call.principal)) {
    throw errorOf('approve_capability_required')
  }
  const zoneId = request.zone_id ?? null
  guardToken(call.principal, zoneId, request.capability)
  if (zoneId !== null) {
    found(await reading(control, call, (db) => findZone(db, zoneId)), 'zone_not_found')
  }
  const token = generateSecret('cat_')
  const row = await writing(control, call, (tx) =>
    insertAdminToken(tx, {
      id: uuidv7(),
      name: request.name,
      lookup: control.hasher.lookup(token),
      hash: control.hasher.hashGenerated(token),
      scope: request.scope,
      zoneId,
      capability: request.capability,
      createdBy: attributionOf(call.principal),
    }),
  )
  if (row === null) throw new Error('256 random bits met twice')
  const { last_used_at: _, revoked_at: __, ...shown } = row
  return { ...shown, token }
}

/** Takes effect everywhere as soon as the others hear of it, at the latest after the five seconds a proof is remembered. Throws 404 `admin_token_not_found`. */
export async function revokeToken(control: Control, call: Call<unknown, unknown>): Promise<void> {
  requireManager(call.principal)
  await writing(control, call, async (tx) => {
    if (!(await revokeAdminToken(tx, call.id))) throw notFound('admin_token_not_found')
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
  })
}
