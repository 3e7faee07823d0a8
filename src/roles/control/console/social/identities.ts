/**
 * Which account an identity signs in to. It is found by the provider's subject; an address only ever makes the
 * first link, when the provider has verified it and the account's own was verified too. An account whose address
 * was not may have been registered by anybody, who then knows its password: the owner of the address would end up
 * in an account that a stranger opens as well. Such an account is linked by whoever signs in to it, and so is one
 * that something was unlinked from: its owner may know that it is in other hands.
 */
import { errorOf } from '../../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../../platform/ids.ts'
import type { Control } from '../../control.ts'
import {
  findConsoleAccount,
  findConsoleAccountById,
  holdConsoleAccount,
  holdProvenAccount,
  insertVouchedAccount,
  linkByHand,
  lockConsoleAccount,
  type ProvenAccount,
} from '../../store/console-accounts.ts'
import {
  deleteIdentity,
  findAccountOfIdentity,
  identitiesOf,
  insertIdentity,
} from '../../store/console-identities.ts'
import { revokeAccountSessions } from '../../store/console-sessions.ts'
import { type Admissions, requireAdmitted } from '../admission.ts'
import { type SocialName, socialNames } from './endpoints.ts'
import type { SocialIdentity } from './provider.ts'
import type { SocialProviders } from './providers.ts'

interface SocialMethod {
  readonly provider: SocialName
  /** Whether this server offers the provider. */
  readonly available: boolean
  readonly email: string | null
  /** `null`: not linked. */
  readonly linked_at: Date | null
}

export interface Identities {
  /**
   * The account; a new one where there was none. Throws 403 `access_denied`, `registration_not_permitted`,
   * `email_not_verified`, `social_email_not_verified`; 409 `social_account_exists`.
   */
  accountOf(identity: SocialIdentity): Promise<ProvenAccount>
  /** Throws 401 `unauthenticated` when the account is gone; 409 `social_account_taken`, `social_already_linked`. */
  link(accountId: string, identity: SocialIdentity): Promise<void>
  /** Ends the account's other sessions too. Throws 404 `social_not_linked`; 409 `last_sign_in_method`. */
  unlink(account: { readonly id: string; readonly sessionId: string }, provider: SocialName): Promise<void>
  /** What the account can sign in with, and could. */
  methodsOf(accountId: string): Promise<{ readonly password: boolean; readonly social: SocialMethod[] }>
}

export function createIdentities(
  control: Control,
  admissions: Admissions,
  providers: SocialProviders,
): Identities {
  const { db, log, settings } = control
  const isOffered = (provider: string) => [...providers.keys()].some((name) => name === provider)
  const canUsePassword = (account: { readonly password_hash: string | null } | null): boolean =>
    settings.CARACAL_PASSWORD_SIGNUP && account !== null && account.password_hash !== null

  function noteLinked(accountId: string, { provider }: SocialIdentity): void {
    log.info({ account_id: accountId, provider }, 'console_identity_linked')
  }

  async function register(email: string, identity: SocialIdentity): Promise<ProvenAccount> {
    if (admissions.of(email) !== 'admitted') throw errorOf('registration_not_permitted')
    const account = await db.transaction(async (tx) => {
      const made = await insertVouchedAccount(tx, { id: uuidv7(), email })
      if (made === null || (await insertIdentity(tx, made.id, identity))) return made
      throw errorOf('social_account_taken')
    })
    if (account === null) throw errorOf('social_account_exists')
    noteLinked(account.id, identity)
    return account
  }

  /** False when the account is another by now, perhaps one that its owner links by hand. */
  const linkFirst = (account: ProvenAccount, identity: SocialIdentity): Promise<boolean> =>
    db.transaction(
      async (tx) =>
        (await holdProvenAccount(tx, account)) && (await insertIdentity(tx, account.id, identity)),
    )

  return {
    async accountOf(identity) {
      const linked = await findAccountOfIdentity(db, identity)
      if (linked !== null) {
        await requireAdmitted(control, admissions, linked)
        if (!linked.verified && settings.CARACAL_MODE !== 'dev') throw errorOf('email_not_verified')
        return linked
      }
      const { email } = identity
      if (email === null) throw errorOf('social_email_not_verified')
      const known = await findConsoleAccount(db, email)
      if (known === null) return register(email, identity)
      await requireAdmitted(control, admissions, known)
      const mayLink = known.verified && !known.links_by_hand
      if (!mayLink || !(await linkFirst(known, identity))) throw errorOf('social_account_exists')
      noteLinked(known.id, identity)
      return known
    },

    async link(accountId, identity) {
      const isNew = await db.transaction(async (tx) => {
        if (await holdConsoleAccount(tx, accountId)) return insertIdentity(tx, accountId, identity)
        throw errorOf('unauthenticated')
      })
      if (isNew) return noteLinked(accountId, identity)
      const owner = await findAccountOfIdentity(db, identity)
      if (owner === null) throw errorOf('social_already_linked')
      if (owner.id !== accountId) throw errorOf('social_account_taken')
    },

    async unlink({ id, sessionId }, provider) {
      await db.transaction(async (tx) => {
        const account = await lockConsoleAccount(tx, id)
        const linked = await identitiesOf(tx, id)
        if (!linked.some((one) => one.provider === provider)) throw errorOf('social_not_linked')
        const others = linked.filter((one) => one.provider !== provider && isOffered(one.provider))
        if (!canUsePassword(account) && others.length === 0) throw errorOf('last_sign_in_method')
        await deleteIdentity(tx, id, provider)
        await linkByHand(tx, id)
        await revokeAccountSessions(tx, id, sessionId)
      })
      log.info({ account_id: id, provider }, 'console_identity_unlinked')
    },

    async methodsOf(accountId) {
      const account = await findConsoleAccountById(db, accountId)
      const linked = await identitiesOf(db, accountId)
      const social = socialNames.flatMap((provider) => {
        const known = linked.find((one) => one.provider === provider)
        const available = providers.has(provider)
        if (known === undefined && !available) return []
        return [{ provider, available, email: known?.email ?? null, linked_at: known?.linked_at ?? null }]
      })
      return { password: canUsePassword(account), social }
    },
  }
}
