/**
 * Console accounts: e-mail and password (sdk-cli-console §13.3, P1). Outside of mode dev an address must have been
 * verified before it signs in, and nothing here sends mail, so nobody registers there either: an address that
 * anybody could claim must not meet a role that was meant for its owner.
 */
import * as v from 'valibot'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import type { Control } from '../control.ts'
import {
  deleteConsoleAccount,
  findConsoleAccount,
  insertConsoleAccount,
  setConsolePassword,
} from '../store/console-accounts.ts'
import { revokeOtherSessions } from '../store/console-sessions.ts'
import type { Admissions } from './admission.ts'

const LEAST_CHARACTERS = 8
const FAILURES = 5
const FAILURE_WINDOW_MS = 15 * 60_000
const isAddress = (text: string) => v.is(v.pipe(v.string(), v.email(), v.maxLength(254)), text)

interface Credentials {
  readonly email: string
  readonly password: string
}

/** What `GET auth/config` says. */
interface SignInMethods {
  readonly token: true
  readonly email: boolean
  readonly social: readonly string[]
  readonly passwordReset: boolean
  readonly registration: 'open' | 'closed'
}

export interface Accounts {
  methods(): SignInMethods
  /** Id of the account behind correct credentials. Throws 401 `invalid_credentials`; 403 `access_denied`; 429. */
  prove(credentials: Credentials, caller: { readonly signal: AbortSignal }): Promise<string>
  /** Id of the new account. Throws 403 `registration_not_permitted`; 400. */
  register(credentials: Credentials): Promise<string>
  /** Ends the account's other sessions too. Throws 403 `current_password_invalid`; 400; 429. */
  changePassword(
    account: { readonly id: string; readonly email: string; readonly sessionId: string },
    passwords: { readonly current: string; readonly next: string },
  ): Promise<void>
}

export function createAccounts(control: Control, admissions: Admissions): Accounts {
  const { db, ephemera, hasher, settings } = control
  const isDev = settings.CARACAL_MODE === 'dev'
  const normal = (email: string) => email.trim().toLowerCase()
  const failureKey = (email: string) => `api:console_fail:${email}`

  function requireStrong(password: string): void {
    if (password.length >= LEAST_CHARACTERS) return
    throw errorOf('invalid_body', { message: `A password has at least ${LEAST_CHARACTERS} characters` })
  }

  /** One account's failures share a budget, whatever address they come from. */
  async function spend(email: string): Promise<void> {
    const { count } = await ephemera.increment(failureKey(email), FAILURE_WINDOW_MS)
    if (count > FAILURES) throw errorOf('rate_limited', { headers: { 'retry-after': '30' } })
  }

  async function requireAdmitted(id: string, email: string): Promise<void> {
    const admission = admissions.of(email)
    if (admission === 'admitted') return
    if (admission === 'removed') await db.transaction((tx) => deleteConsoleAccount(tx, id))
    throw errorOf('access_denied')
  }

  return {
    methods: () => ({
      token: true,
      email: settings.CARACAL_PASSWORD_SIGNUP,
      social: [],
      passwordReset: false,
      registration: settings.CARACAL_PASSWORD_SIGNUP && isDev && admissions.isOpen() ? 'open' : 'closed',
    }),

    async prove({ email: given, password }, caller) {
      const email = normal(given)
      await spend(email)
      const account = settings.CARACAL_PASSWORD_SIGNUP ? await findConsoleAccount(db, email) : null
      const proved =
        account === null
          ? await hasher.verifyUnknown(password, caller)
          : await hasher.verify(password, account.password_hash, caller)
      if (account === null || !proved) throw errorOf('invalid_credentials')
      await requireAdmitted(account.id, email)
      if (!account.verified && !isDev) throw errorOf('access_denied')
      await ephemera.delete(failureKey(email))
      return account.id
    },

    async register({ email: given, password }) {
      const email = normal(given)
      if (!isAddress(email)) throw errorOf('invalid_body', { message: 'This is not an e-mail address' })
      requireStrong(password)
      if (!settings.CARACAL_PASSWORD_SIGNUP || !isDev || admissions.of(email) !== 'admitted') {
        throw errorOf('registration_not_permitted')
      }
      const id = uuidv7()
      const passwordHash = await hasher.hashChosen(password)
      // A taken address is refused like any other: the answer tells nobody who has an account.
      if (!(await insertConsoleAccount(db, { id, email, passwordHash }))) {
        throw errorOf('registration_not_permitted')
      }
      return id
    },

    async changePassword({ id, email, sessionId }, { current, next }) {
      requireStrong(next)
      await spend(email)
      const account = await findConsoleAccount(db, email)
      if (account === null || !(await hasher.verify(current, account.password_hash))) {
        throw errorOf('current_password_invalid')
      }
      const passwordHash = await hasher.hashChosen(next)
      await db.transaction(async (tx) => {
        await setConsolePassword(tx, id, passwordHash)
        await revokeOtherSessions(tx, id, sessionId)
      })
      await ephemera.delete(failureKey(email))
    },
  }
}
