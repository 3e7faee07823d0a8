/** The built-in roles, and the first service account where the environment names one (control-api §12.3, §12.6). */
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { builtInRoles, PLATFORM_ADMIN } from './rbac/built-in-roles.ts'
import { findRoleByName, insertRoleBinding, lockPlatformAdmins, seedBuiltInRole } from './store/roles.ts'
import { countServiceAccounts, insertServiceAccount } from './store/service-accounts.ts'

const SYSTEM = 'system'

export async function seedIam(control: Control): Promise<void> {
  await control.db.transaction(async (tx) => {
    await lockPlatformAdmins(tx)
    for (const role of builtInRoles) await seedBuiltInRole(tx, uuidv7(), role)
  })
  await seedBootstrapAccount(control)
}

/** Only while there is no account at all, so that it can never bring a removed one back. */
async function seedBootstrapAccount(control: Control): Promise<void> {
  const { CARACAL_BOOTSTRAP_USERNAME: username, CARACAL_BOOTSTRAP_PASSWORD: password } = control.settings
  if (username === null || password === null) return
  if ((await countServiceAccounts(control.db)) > 0) return
  const passwordHash = await control.hasher.hashChosen(password)
  await control.db.transaction(async (tx) => {
    await lockPlatformAdmins(tx)
    if ((await countServiceAccounts(tx)) > 0) return
    const id = uuidv7()
    await insertServiceAccount(tx, {
      id,
      zoneId: null,
      username,
      displayName: null,
      passwordHash,
      status: 'active',
      by: SYSTEM,
    })
    const role = await findRoleByName(tx, null, PLATFORM_ADMIN)
    if (role === null) throw new Error('the built-in roles are not there')
    await insertRoleBinding(tx, {
      id: uuidv7(),
      roleId: role.id,
      subjectKind: 'service_account',
      subjectId: id,
      zoneId: null,
      by: SYSTEM,
    })
  })
}
