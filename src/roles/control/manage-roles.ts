/** Roles and bindings (control-api §12.5), each behind the escalation guard. */
import { violatedConstraint } from '../../platform/db/unavailable.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { iamZoneOf } from './manage-accounts.ts'
import { found, invalid } from './not-found.ts'
import { PLATFORM_ADMIN } from './rbac/built-in-roles.ts'
import { guardBinding, guardRole } from './rbac/escalation.ts'
import type { Call } from './route.ts'
import { findConsoleAccountId } from './store/console-accounts.ts'
import {
  countPlatformAdmins,
  deleteRole,
  deleteRoleBinding,
  findRole,
  findRoleBinding,
  findRoleByName,
  insertRole,
  insertRoleBinding,
  lockPlatformAdmins,
  type Role,
  type RoleBinding,
  type RoleFields,
  type SubjectKind,
  updateRole,
} from './store/roles.ts'
import { findAccountByName, findServiceAccount, type IamZone } from './store/service-accounts.ts'

type AnyCall = Call<unknown, unknown>

export interface RoleInput extends RoleFields {
  readonly zone_id?: string | null | undefined
}

export async function createRole(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  input: RoleInput,
): Promise<Role> {
  const zoneId = await iamZoneOf(control, zone, input.zone_id)
  guardRole(call.principal, zoneId, input.rules)
  const row = await control.db.transaction((tx) =>
    insertRole(tx, uuidv7(), zoneId, input, call.attribution.by),
  )
  if (row === null) throw errorOf('role_name_conflict')
  return row
}

async function ownRole(control: Control, call: AnyCall, zone: IamZone): Promise<Role> {
  const role = found(await findRole(control.db, zone, call.id), 'role_not_found')
  if (role.built_in) throw errorOf('role_built_in')
  return role
}

/** A role that is bound takes effect at once, so the guard looks at what it will grant. */
export async function changeRole(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  fields: RoleInput,
): Promise<Role> {
  const role = await ownRole(control, call, zone)
  if (zone === undefined && fields.zone_id !== undefined && fields.zone_id !== role.zone_id) {
    throw errorOf('invalid_body', { message: 'a role stays in its zone' })
  }
  guardRole(call.principal, role.zone_id, fields.rules)
  try {
    return await control.db.transaction(async (tx) => {
      const row = await updateRole(tx, role.id, fields, call.attribution.by)
      await control.outbox.enqueue(tx, 'control', [iamInvalidated(null, call.requestId)])
      return found(row, 'role_not_found')
    })
  } catch (error) {
    if (violatedConstraint(error) === 'roles_zone_id_name_key') throw errorOf('role_name_conflict')
    throw error
  }
}

export async function removeRole(control: Control, call: AnyCall, zone: IamZone): Promise<void> {
  const role = await ownRole(control, call, zone)
  try {
    await control.db.transaction((tx) => deleteRole(tx, role.id))
  } catch (error) {
    if (violatedConstraint(error) === 'role_bindings_role_id_fkey') throw errorOf('role_in_use')
    throw error
  }
}

export interface BindingInput {
  readonly role_id?: string | undefined
  readonly role_name?: string | undefined
  /** A service account unless told otherwise. */
  readonly subject_kind?: SubjectKind | undefined
  readonly subject_id?: string | undefined
  readonly subject_name?: string | undefined
  readonly zone_id?: string | null | undefined
}

async function roleToBind(
  control: Control,
  zone: IamZone,
  zoneId: string | null,
  input: BindingInput,
): Promise<Role> {
  const role =
    input.role_id === undefined
      ? await findRoleByName(control.db, zoneId, input.role_name ?? '')
      : await findRole(control.db, zone, input.role_id)
  // A role of a zone means nothing elsewhere.
  if (role === null || (role.zone_id !== null && role.zone_id !== zoneId)) throw errorOf('role_not_found')
  return role
}

/** The account to bind: in a zone's own collection one of that zone, or a deployment-wide one by name. */
async function subjectToBind(control: Control, zone: IamZone, input: BindingInput): Promise<string> {
  if (input.subject_kind === 'account') {
    const by = { id: input.subject_id ?? null, email: (input.subject_name ?? '').toLowerCase() }
    return found(await findConsoleAccountId(control.db, by), 'principal_not_found')
  }
  const account =
    input.subject_id === undefined
      ? await findAccountByName(control.db, input.subject_name ?? '')
      : await findServiceAccount(control.db, undefined, input.subject_id)
  // An account of another zone does not exist for a zone's own collection.
  const foreign =
    account !== null && account.zone_id !== null && account.zone_id !== (zone ?? account.zone_id)
  return found(foreign ? null : account, 'principal_not_found').id
}

/** Throws 400 `invalid_role_binding`; 403 `privilege_escalation`; 404; 409 `role_binding_exists`. */
export async function bindRole(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  input: BindingInput,
): Promise<RoleBinding> {
  if (input.role_id === undefined && input.role_name === undefined) {
    throw invalid('invalid_role_binding', 'a binding names a role by role_id or role_name')
  }
  if (input.subject_id === undefined && input.subject_name === undefined) {
    throw invalid('invalid_role_binding', 'a binding names an account by the id or name of its subject')
  }
  const zoneId = await iamZoneOf(control, zone, input.zone_id)
  const role = await roleToBind(control, zone, zoneId, input)
  const subjectId = await subjectToBind(control, zone, input)
  guardBinding(call.principal, {
    roleName: role.name,
    builtIn: role.built_in,
    rules: role.rules,
    zoneId,
    subjectId,
  })
  const id = uuidv7()
  const by = call.attribution.by
  const subjectKind = input.subject_kind ?? 'service_account'
  try {
    await control.db.transaction(async (tx) => {
      if (!(await insertRoleBinding(tx, { id, roleId: role.id, subjectKind, subjectId, zoneId, by }))) {
        throw errorOf('role_binding_exists')
      }
      await control.outbox.enqueue(tx, 'control', [iamInvalidated(subjectId, call.requestId)])
    })
  } catch (error) {
    // Deleted since it was looked up.
    if (violatedConstraint(error) === 'role_bindings_role_id_fkey') throw errorOf('role_not_found')
    throw error
  }
  return found(await findRoleBinding(control.db, undefined, id), 'role_binding_not_found')
}

/** Throws 404; 409 `last_platform_admin`. */
export async function unbindRole(control: Control, call: AnyCall, zone: IamZone): Promise<void> {
  await control.db.transaction(async (tx) => {
    await lockPlatformAdmins(tx)
    const binding = found(await findRoleBinding(tx, zone, call.id), 'role_binding_not_found')
    const administers =
      binding.role_built_in && binding.role_name === PLATFORM_ADMIN && binding.zone_id === null
    if (administers && (await countPlatformAdmins(tx, { bindingId: binding.id })) === 0) {
      throw errorOf('last_platform_admin')
    }
    await deleteRoleBinding(tx, binding.id)
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(binding.subject_id, call.requestId)])
  })
}
