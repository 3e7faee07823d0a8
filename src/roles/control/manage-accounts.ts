/** Service accounts (control-api §12.3). The last platform administrator cannot be lost. */
import type { Tx } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { found, noFields, notFound } from './not-found.ts'
import { guardCredential } from './rbac/escalation.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import { countPlatformAdmins, isPlatformAdmin, lockPlatformAdmins } from './store/roles.ts'
import {
  bindingsOf,
  changePassword,
  deleteServiceAccount,
  findAccountSecret,
  findServiceAccount,
  type IamZone,
  insertServiceAccount,
  type ServiceAccount,
  updateServiceAccount,
} from './store/service-accounts.ts'
import { findZone } from './store/zones.ts'

type AnyCall = Call<unknown, unknown>

/** Zone of an IAM object: the path's, else the body's, which must exist. Throws 404 `zone_not_found`. */
export async function iamZoneOf(control: Control, zone: IamZone, wanted: string | null | undefined) {
  if (zone !== undefined) return zone
  if (wanted === undefined || wanted === null) return null
  found(await findZone(control.db, wanted), 'zone_not_found')
  return wanted
}

export async function createAccount(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  input: {
    readonly username: string
    readonly password: string
    readonly display_name?: string | undefined
    readonly zone_id?: string | null | undefined
    readonly status: 'active' | 'inactive'
  },
): Promise<ServiceAccount> {
  const zoneId = await iamZoneOf(control, zone, input.zone_id)
  const passwordHash = await control.hasher.hashChosen(input.password)
  const row = await control.db.transaction((tx) =>
    insertServiceAccount(tx, {
      id: uuidv7(),
      zoneId,
      username: input.username,
      displayName: input.display_name ?? null,
      passwordHash,
      status: input.status,
      by: call.attribution.by,
    }),
  )
  if (row === null) throw errorOf('username_taken')
  return row
}

/** Throws 404 before it says anything about an account of another zone. */
async function keepAnAdministrator(tx: Tx, zone: IamZone, accountId: string): Promise<void> {
  found(await findServiceAccount(tx, zone, accountId), 'service_account_not_found')
  await lockPlatformAdmins(tx)
  if (!(await isPlatformAdmin(tx, accountId))) return
  if ((await countPlatformAdmins(tx, { accountId })) === 0) throw errorOf('last_platform_admin')
}

/** Throws 400 `no_fields`; 404; 409 `last_platform_admin`. */
export async function changeAccount(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  patch: { readonly display_name?: string | undefined; readonly status?: 'active' | 'inactive' | undefined },
): Promise<ServiceAccount> {
  if (isEmptyPatch({ ...patch })) throw noFields()
  return control.db.transaction(async (tx) => {
    if (patch.status === 'inactive') await keepAnAdministrator(tx, zone, call.id)
    const fields = { displayName: patch.display_name, status: patch.status }
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
    return found(
      await updateServiceAccount(tx, zone, call.id, fields, call.attribution.by),
      'service_account_not_found',
    )
  })
}

export async function removeAccount(control: Control, call: AnyCall, zone: IamZone): Promise<void> {
  await control.db.transaction(async (tx) => {
    await keepAnAdministrator(tx, zone, call.id)
    if (!(await deleteServiceAccount(tx, zone, call.id))) throw notFound('service_account_not_found')
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
  })
}

/** Ends every token of the account. Throws 403 `current_password_invalid`, `privilege_escalation`; 404. */
export async function setPassword(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  input: { readonly current_password?: string | undefined; readonly new_password: string },
): Promise<void> {
  found(await findServiceAccount(control.db, zone, call.id), 'service_account_not_found')
  const account = found(await findAccountSecret(control.db, call.id), 'service_account_not_found')
  if (call.principal.accountId === call.id) {
    const proved = await control.hasher.verify(input.current_password ?? '', account.password_hash, call)
    if (!proved) throw errorOf('current_password_invalid')
  } else {
    // Whoever sets another's password can act as them.
    guardCredential(call.principal, await bindingsOf(control.db, call.id), null)
  }
  const hash = await control.hasher.hashChosen(input.new_password)
  await control.db.transaction(async (tx) => {
    await changePassword(tx, call.id, hash, call.attribution.by)
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
  })
}
