/** What an account may do with itself: see what ends with it, and end it (sdk-cli-console §13.4). A token has no account. */
import type { Context, Hono } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import * as v from '../../../platform/schema.ts'
import type { Control } from '../control.ts'
import { findConsoleAccountById } from '../store/console-accounts.ts'
import type { Accounts } from './accounts.ts'
import { bodyOf } from './body.ts'
import type { SecretCookie } from './cookie.ts'
import { deleteAccount, zonesOfAccount } from './delete-account.ts'
import { limitAddress } from './limits.ts'
import { API } from './paths.ts'
import type { Operator } from './sessions.ts'

export interface AccountRouteDeps {
  readonly control: Control
  readonly accounts: Accounts
  readonly cookie: SecretCookie
  readonly operatorOf: (c: Context) => Promise<Operator>
  /** Hears that an account ended, and zones perhaps. */
  readonly onDeleted: () => void
}

const PATH = `${API}/auth/account`

const deletion = v.strictObject({
  /** The account's own address, typed by whoever means it. */
  email: v.pipe(v.string(), v.maxLength(320)),
  /** Needed by an account that has one. */
  password: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(256))),
  /** The ids of the zones that are to end with it. */
  zones: v.pipe(v.array(v.pipe(v.string(), v.maxLength(128))), v.maxLength(1000)),
})

export function mountAccount(app: Hono, deps: AccountRouteDeps): void {
  const { control, accounts, cookie, operatorOf } = deps

  /** The operator and their account. Throws 403 `console_account_required`; 401. */
  async function ownAccountOf(c: Context) {
    const { principal, owner } = await operatorOf(c)
    if (owner.accountId === null) throw errorOf('console_account_required')
    const account = await findConsoleAccountById(control.db, owner.accountId)
    if (account === null) throw errorOf('unauthenticated')
    return { principal, account }
  }

  app.get(PATH, async (c) => {
    const { principal, account } = await ownAccountOf(c)
    return c.json({
      id: account.id,
      email: account.email,
      has_password: account.password_hash !== null,
      zones: await zonesOfAccount(control.db, principal),
    })
  })

  app.delete(PATH, async (c) => {
    await limitAddress(c, control, 'sign_in')
    const { principal, account } = await ownAccountOf(c)
    const { email, password, zones } = await bodyOf(c, deletion)
    if (email.trim().toLowerCase() !== account.email) throw errorOf('confirmation_mismatch')
    const proven =
      account.password_hash === null ? account : await accounts.requirePassword(account.email, password ?? '')
    const { log, requestId } = requestContext(c)
    await deleteAccount(control, principal, { account: proven, confirmed: zones, requestId })
    cookie.clear(c)
    deps.onDeleted()
    log.info({ operator_id: principal.id, zones: zones.length }, 'console_account_deleted')
    return c.body(null, 204)
  })
}
