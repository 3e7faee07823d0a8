/**
 * Console accounts: e-mail and password (sdk-cli-console §13.3, P1). Outside of mode dev an address must have been
 * verified by mail before it signs in, so nobody registers there without a mail server: an address that anybody
 * could claim must not meet a role that was meant for its owner. Whether an address has an account is told to
 * nobody but its owner.
 */

import type { Tx } from '../../../platform/db/port.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import * as v from '../../../platform/schema.ts'
import type { Control } from '../control.ts'
import { createGuesses } from '../guesses.ts'
import {
  type ConsoleAccountSecret,
  findConsoleAccount,
  insertConsoleAccount,
  type ProvenAccount,
  replaceUnverifiedPassword,
  setConsolePassword,
  verifyConsoleAccount,
} from '../store/console-accounts.ts'
import { deleteIdentities } from '../store/console-identities.ts'
import { revokeAccountSessions } from '../store/console-sessions.ts'
import { type Admissions, requireAdmitted } from './admission.ts'
import { createMailedLinks, type LetterKind } from './mailed-links.ts'
import type { SocialName } from './social/endpoints.ts'

const LEAST_CHARACTERS = 8
const isAddress = (text: string) => v.is(v.pipe(v.string(), v.email(), v.maxLength(254)), text)

interface Credentials {
  readonly email: string
  readonly password: string
}

/** What `GET auth/config` says. */
interface SignInMethods {
  readonly token: true
  readonly email: boolean
  readonly social: readonly SocialName[]
  readonly passwordReset: boolean
  readonly registration: 'open' | 'closed'
}

export interface Accounts {
  methods(): SignInMethods
  /**
   * The account behind correct credentials. Throws 401 `invalid_credentials`; 403 `access_denied`, and
   * `email_not_verified` while it mails another link; 429.
   */
  prove(credentials: Credentials, caller: { readonly signal: AbortSignal }): Promise<ProvenAccount>
  /** The new account; `null` when a link was mailed that makes it one. Throws 403 `registration_not_permitted`; 400. */
  register(credentials: Credentials): Promise<ProvenAccount | null>
  /** The account whose link this is, if `password` is its own. Throws 400 `link_not_valid`; 401; 403; 429. */
  verify(given: { readonly secret: string; readonly password: string }): Promise<ProvenAccount>
  /** Mails a link to whoever has an account, and tells nobody whether it did. */
  requestReset(email: string): Promise<void>
  /** Sets the password by a mailed link, and ends all sessions. Throws 400 `link_not_valid`; 403 `access_denied`; 400. */
  reset(given: { readonly secret: string; readonly next: string }): Promise<void>
  /** The account, if `password` is its own. Throws 403 `current_password_invalid`; 429. */
  requirePassword(email: string, password: string): Promise<ProvenAccount>
  /** Ends the account's other sessions too. Throws 403 `current_password_invalid`; 400; 429. */
  changePassword(
    account: { readonly email: string; readonly sessionId: string },
    passwords: { readonly current: string; readonly next: string },
  ): Promise<void>
}

export function createAccounts(
  control: Control,
  admissions: Admissions,
  social: readonly SocialName[],
): Accounts {
  const { db, hasher, log, settings } = control
  const isDev = settings.CARACAL_MODE === 'dev'
  const links = createMailedLinks(control)
  const canRegister = settings.CARACAL_PASSWORD_SIGNUP && (isDev || links !== null)
  const normal = (email: string) => email.trim().toLowerCase()
  const guesses = createGuesses(control, 'console')

  function requireStrong(password: string): void {
    if (password.length >= LEAST_CHARACTERS) return
    throw errorOf('invalid_body', { message: `A password has at least ${LEAST_CHARACTERS} characters` })
  }

  async function requirePassword(email: string, password: string): Promise<ProvenAccount> {
    const account = await guesses.attempt(email, async () => {
      const known = await findConsoleAccount(db, email)
      return known !== null && (await hasher.verify(password, known.password_hash)) ? known : null
    })
    if (account === null) throw errorOf('current_password_invalid')
    return account
  }

  /** Nobody waits for mail: how long it takes would tell whether there is an account. */
  function mailInBackground(account: ConsoleAccountSecret, letter: LetterKind): void {
    if (links === null) return
    links.send(account, letter).then(
      () => log.info({ account_id: account.id, letter }, 'console_mail_sent'),
      (error: unknown) => log.error({ err: error, account_id: account.id, letter }, 'console_mail_failed'),
    )
  }

  async function registerByMail(email: string, passwordHash: string): Promise<void> {
    await insertConsoleAccount(db, { id: uuidv7(), email, passwordHash })
    const account = await findConsoleAccount(db, email)
    if (account === null) return
    const open = await replaceUnverifiedPassword(db, account.id, passwordHash)
    if (open) mailInBackground({ ...account, password_hash: passwordHash }, 'verify')
    else mailInBackground(account, 'known')
  }

  /**
   * `null` when the account is another by now. Whoever used it before its address was verified may not be who the
   * address belongs to: the ways back in that they left go.
   */
  async function verifyAddress(
    tx: Tx,
    account: ConsoleAccountSecret,
    proven: ProvenAccount,
  ): Promise<ProvenAccount | null> {
    const verified = await verifyConsoleAccount(tx, proven)
    if (verified === null || account.verified) return verified
    await deleteIdentities(tx, account.id)
    await revokeAccountSessions(tx, account.id, null)
    return verified
  }

  return {
    methods: () => ({
      token: true,
      email: settings.CARACAL_PASSWORD_SIGNUP,
      social,
      passwordReset: settings.CARACAL_PASSWORD_SIGNUP && links !== null,
      registration: canRegister && admissions.isOpen() ? 'open' : 'closed',
    }),

    async prove({ email: given, password }, caller) {
      const email = normal(given)
      const account = await guesses.attempt(email, async () => {
        const known = settings.CARACAL_PASSWORD_SIGNUP ? await findConsoleAccount(db, email) : null
        // An account without a password takes as long as none.
        const hash = known?.password_hash ?? null
        const proved =
          hash === null
            ? await hasher.verifyUnknown(password, caller)
            : await hasher.verify(password, hash, caller)
        return proved ? known : null
      })
      if (account === null) throw errorOf('invalid_credentials')
      await requireAdmitted(control, admissions, account)
      if (!account.verified && !isDev) {
        mailInBackground(account, 'verify')
        throw errorOf('email_not_verified')
      }
      return account
    },

    async register({ email: given, password }) {
      const email = normal(given)
      if (!isAddress(email)) throw errorOf('invalid_body', { message: 'This is not an e-mail address' })
      requireStrong(password)
      if (!canRegister || admissions.of(email) !== 'admitted') throw errorOf('registration_not_permitted')
      const passwordHash = await hasher.hashChosen(password)
      if (!isDev) {
        await registerByMail(email, passwordHash)
        return null
      }
      const account = await insertConsoleAccount(db, { id: uuidv7(), email, passwordHash })
      // A taken address is refused like any other: the answer tells nobody who has an account.
      if (account === null) throw errorOf('registration_not_permitted')
      return account
    },

    requirePassword,

    async changePassword({ email, sessionId }, { current, next }) {
      requireStrong(next)
      const account = await requirePassword(email, current)
      const passwordHash = await hasher.hashChosen(next)
      await db.transaction(async (tx) => {
        if (!(await setConsolePassword(tx, account, passwordHash))) throw errorOf('current_password_invalid')
        await revokeAccountSessions(tx, account.id, sessionId)
      })
    },

    async verify({ secret, password }) {
      const account = (await links?.take('verify', secret)) ?? null
      if (account === null) throw errorOf('link_not_valid')
      const proved = await guesses.attempt(account.email, async () =>
        (await hasher.verify(password, account.password_hash)) ? account : null,
      )
      if (proved === null) {
        mailInBackground(account, 'verify')
        throw errorOf('invalid_credentials')
      }
      await requireAdmitted(control, admissions, account)
      const verified = await db.transaction((tx) => verifyAddress(tx, account, account))
      // Somebody registered the address anew meanwhile: the password is theirs, and there is another letter.
      if (verified === null) throw errorOf('link_not_valid')
      return verified
    },

    async requestReset(given) {
      const account = settings.CARACAL_PASSWORD_SIGNUP ? await findConsoleAccount(db, normal(given)) : null
      if (account !== null && admissions.of(account.email) === 'admitted') mailInBackground(account, 'reset')
    },

    async reset({ secret, next }) {
      requireStrong(next)
      const account = (await links?.take('reset', secret)) ?? null
      if (account === null) throw errorOf('link_not_valid')
      await requireAdmitted(control, admissions, account)
      const passwordHash = await hasher.hashChosen(next)
      await db.transaction(async (tx) => {
        const changed = await setConsolePassword(tx, account, passwordHash)
        if (changed === null) throw errorOf('link_not_valid')
        await verifyAddress(tx, account, changed)
        await revokeAccountSessions(tx, account.id, null)
      })
      await guesses.forgive(account.email)
    },
  }
}
