/**
 * The end of a console account by its own hand (sdk-cli-console §13.4). Its zones end with it as any zone does: those
 * that it made and may still delete; one that was taken from it stays with whoever runs the server. All of it commits
 * together with its records in the administrative ledger, or nothing does, and only what the person was shown goes.
 */
import { appendAdminActions } from '../../../platform/admin-audit/append.ts'
import type { AdminAction } from '../../../platform/admin-audit/record.ts'
import type { Queryable } from '../../../platform/db/port.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Control } from '../control.ts'
import { endZone } from '../end-zone.ts'
import { actorOf, reachOf } from '../ledger.ts'
import { attributionOf, type Principal } from '../principal.ts'
import { bindingsGrant } from '../rbac/rules.ts'
import { isReservedZone } from '../reserved.ts'
import { can } from '../route.ts'
import { deleteConsoleAccount, lockConsoleAccount, type ProvenAccount } from '../store/console-accounts.ts'
import { listOwnedZones, type ZoneName } from '../store/zones.ts'
import { API } from './paths.ts'

const PATH = `${API}/auth/account`
const MOST_ZONES = 100

const mayDelete = can('core', 'zones', 'delete')

async function ownedZones(db: Queryable, { id }: Principal): Promise<ZoneName[]> {
  const owned = await listOwnedZones(db, id, MOST_ZONES + 1)
  if (owned.length > MOST_ZONES) throw errorOf('too_many_owned_zones')
  return owned
}

const endsWith =
  ({ bindings }: Principal) =>
  (zone: ZoneName): boolean =>
    !isReservedZone(zone) && bindingsGrant(bindings ?? [], mayDelete, zone.id, zone.id)

/** The zones that end with the account. Throws 409 `too_many_owned_zones`. */
export async function zonesOfAccount(db: Queryable, principal: Principal): Promise<ZoneName[]> {
  return (await ownedZones(db, principal)).filter(endsWith(principal))
}

const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((id) => others.includes(id))

const idsOf = (zones: readonly ZoneName[]): string[] => zones.map(({ id }) => id)

function recordsOf(principal: Principal, requestId: string, zoneIds: readonly string[]): AdminAction[] {
  const common = {
    requestId,
    actor: actorOf(principal),
    method: 'DELETE',
    path: PATH,
    statusCode: 204,
  }
  const payload = { ...reachOf(principal), change_kind: 'delete' }
  return [
    ...zoneIds.map((id) => ({
      ...common,
      action: `DELETE /v1/zones/${id}`,
      zoneId: id,
      entityType: 'zones',
      entityId: id,
      payload: { ...payload, with_account: principal.id },
    })),
    {
      ...common,
      action: `DELETE ${PATH}`,
      zoneId: null,
      entityType: 'console-accounts',
      entityId: principal.id,
      payload: { ...payload, zones: zoneIds },
    },
  ]
}

/**
 * Deletes the account with its sessions and bindings, and archives `confirmed`. Throws 409 `owned_zones_changed` unless
 * those are its zones; 409 `too_many_owned_zones`; 401 `unauthenticated` when the account is another by now, or gone.
 */
export async function deleteAccount(
  control: Pick<Control, 'db' | 'outbox' | 'keys'>,
  principal: Principal,
  {
    account,
    confirmed,
    requestId,
  }: {
    readonly account: ProvenAccount
    readonly confirmed: readonly string[]
    readonly requestId: string
  },
): Promise<void> {
  const owned = await ownedZones(control.db, principal)
  const zoneIds = idsOf(owned.filter(endsWith(principal)))
  if (!isSame(zoneIds, confirmed)) throw errorOf('owned_zones_changed')
  const by = { by: attributionOf(principal), viaOperator: false }
  await control.db.transaction(async (tx) => {
    // The chains come before rows in the lock order.
    await appendAdminActions(tx, control.keys.audit, recordsOf(principal, requestId, zoneIds))
    const locked = await lockConsoleAccount(tx, principal.id)
    if (locked?.revision !== account.revision) throw errorOf('unauthenticated')
    // From here on it makes no zone (create-zone.ts); one that it made a moment ago nobody has agreed to end.
    if (!isSame(idsOf(await ownedZones(tx, principal)), idsOf(owned))) throw errorOf('owned_zones_changed')
    for (const id of zoneIds) {
      if (!(await endZone(control, tx, { id, by, requestId }))) throw errorOf('owned_zones_changed')
    }
    await deleteConsoleAccount(tx, principal.id)
  })
}
