/**
 * Which e-mail addresses may use the console (sdk-cli-console §12.9). The file is read anew for every decision,
 * so that a lock works at once. One that cannot be understood admits nobody: whoever it locks would otherwise
 * come in by a wider rule.
 */
import { secretsDirectoryOf } from '../../../config/load.ts'
import { allowlistPath, type OperatorAllowlist, readAllowlist } from '../../../config/operator-allowlist.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Control } from '../control.ts'
import { deleteConsoleAccount } from '../store/console-accounts.ts'

/** `removed`: denied, and what the address signs in with is to be erased. */
export type Admission = 'admitted' | 'denied' | 'removed'

export interface Admissions {
  of(email: string): Admission
  /** Whether anybody who is not yet known could be admitted. */
  isOpen(): boolean
}

export function createAdmissions({ settings, log }: Pick<Control, 'settings' | 'log'>): Admissions {
  const path = allowlistPath(secretsDirectoryOf(settings))

  /** `null` when the file cannot be understood. */
  const entries = (): OperatorAllowlist | null => {
    try {
      const named = settings.CARACAL_OPERATOR_ALLOWLIST.map((entry) => [entry, 'active'] as const)
      return new Map([...named, ...readAllowlist(path)])
    } catch (error) {
      log.error({ err: error }, 'operator_allowlist_unreadable')
      return null
    }
  }
  const restricts = (list: OperatorAllowlist) => [...list.values()].some((one) => one !== 'removed')

  return {
    of(email) {
      const list = entries()
      if (list === null) return 'denied'
      const standing = list.get(email) ?? list.get(email.slice(email.lastIndexOf('@')))
      if (standing === 'active') return 'admitted'
      if (standing !== undefined) return standing === 'removed' ? 'removed' : 'denied'
      return !restricts(list) && settings.CARACAL_OPEN_REGISTRATION ? 'admitted' : 'denied'
    },
    isOpen() {
      const list = entries()
      if (list === null) return false
      if (!restricts(list)) return settings.CARACAL_OPEN_REGISTRATION
      return [...list.values()].includes('active')
    },
  }
}

/** Throws 403 `access_denied` for an account whose address may not sign in; a removed one is forgotten. */
export async function requireAdmitted(
  { db }: Pick<Control, 'db'>,
  admissions: Admissions,
  { id, email }: { readonly id: string; readonly email: string },
): Promise<void> {
  const admission = admissions.of(email)
  if (admission === 'admitted') return
  if (admission === 'removed') await db.transaction((tx) => deleteConsoleAccount(tx, id))
  throw errorOf('access_denied')
}
