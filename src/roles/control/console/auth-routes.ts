/** Signing in and out (sdk-cli-console §13.3). */
import type { Context, Hono } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import { idPattern } from '../../../platform/ids.ts'
import * as v from '../../../platform/schema.ts'
import type { Authenticator } from '../authenticate.ts'
import type { Control } from '../control.ts'
import { text } from '../routes/inputs.ts'
import type { ProvenAccount } from '../store/console-accounts.ts'
import { listConsoleSessions, revokeOwnSession } from '../store/console-sessions.ts'
import type { Accounts } from './accounts.ts'
import type { BeginSession } from './begin-session.ts'
import { bodyOf } from './body.ts'
import type { SecretCookie } from './cookie.ts'
import { limitAddress } from './limits.ts'
import { API } from './paths.ts'
import { reachOf } from './reach.ts'
import type { Operator } from './sessions.ts'

export interface AuthRouteDeps {
  readonly control: Control
  readonly authenticator: Authenticator
  readonly accounts: Accounts
  readonly cookie: SecretCookie
  readonly beginSession: BeginSession
  readonly operatorOf: (c: Context) => Promise<Operator>
}

const password = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const email = text(1, 320)
const credentials = v.strictObject({ email, password })
const signIn = v.union([
  v.strictObject({ token: v.pipe(v.string(), v.minLength(1), v.maxLength(8192)) }),
  credentials,
])
const secret = v.pipe(v.string(), v.minLength(1), v.maxLength(128))
const verification = v.strictObject({ token: secret, password })
const resetRequest = v.strictObject({ email })
const reset = v.strictObject({ token: secret, new_password: password })
const passwordChange = v.strictObject({ current_password: password, new_password: password })

function shown({ user, expiresAt, principal }: Operator) {
  return {
    user,
    expires_at: expiresAt.toISOString(),
    capability: principal.capability,
    zone_id: principal.zoneId,
    bootstrap: principal.bootstrap,
    reach: principal.bindings === null ? null : reachOf(principal.bindings),
  }
}

export function mountAuth(app: Hono, deps: AuthRouteDeps): void {
  const { control, accounts, beginSession, cookie, operatorOf } = deps
  const path = (rest: string) => `${API}/auth/${rest}`

  const beginFor = async (c: Context, account: ProvenAccount) => shown(await beginSession(c, { account }))

  app.use(path('*'), async (c, next) => {
    await limitAddress(c, control, 'auth')
    await next()
  })

  app.get(path('config'), (c) => c.json(accounts.methods()))

  app.get(path('session'), async (c) => c.json(shown(await operatorOf(c))))

  app.post(path('session'), async (c) => {
    await limitAddress(c, control, 'sign_in')
    const given = await bodyOf(c, signIn)
    const proof =
      'token' in given
        ? { tokenId: (await tokenOf(c, given.token)).id }
        : { account: await accounts.prove(given, c.req.raw) }
    return c.json(shown(await beginSession(c, proof)))
  })

  /** A derived token acts for an account that each of its requests names anew: it can have no session. */
  async function tokenOf(c: Context, token: string) {
    const { authenticator } = deps
    const { clientIp } = requestContext(c)
    const principal = await authenticator.adminToken(token, clientIp)
    if (!principal.derived) return principal
    const message = 'A token derived for the back end of a v1 console opens no session'
    throw await authenticator.failure(errorOf('invalid_account_assertion', { message }), clientIp)
  }

  app.delete(path('session'), async (c) => {
    const { sessionId, owner } = await operatorOf(c)
    await revokeOwnSession(control.db, owner, sessionId)
    cookie.clear(c)
    return c.body(null, 204)
  })

  app.get(path('sessions'), async (c) => {
    const { sessionId, owner } = await operatorOf(c)
    const rows = await listConsoleSessions(control.db, owner)
    return c.json({
      items: rows.map((row) => ({ ...row, current: row.id === sessionId })),
      next_cursor: null,
    })
  })

  app.delete(path('sessions/:id'), async (c) => {
    const { owner } = await operatorOf(c)
    const id = c.req.param('id') ?? ''
    if (!idPattern.test(id) || !(await revokeOwnSession(control.db, owner, id))) {
      throw errorOf('console_session_not_found')
    }
    return c.body(null, 204)
  })

  app.post(path('register'), async (c) => {
    await limitAddress(c, control, 'register')
    const account = await accounts.register(await bodyOf(c, credentials))
    if (account === null) return c.json({ status: 'verification_sent' }, 202)
    return c.json(await beginFor(c, account), 201)
  })

  app.post(path('verify'), async (c) => {
    await limitAddress(c, control, 'sign_in')
    const given = await bodyOf(c, verification)
    const account = await accounts.verify({ secret: given.token, password: given.password })
    return c.json(await beginFor(c, account))
  })

  app.post(path('password-reset'), async (c) => {
    await limitAddress(c, control, 'reset')
    const { email } = await bodyOf(c, resetRequest)
    await accounts.requestReset(email)
    return c.json({ status: 'accepted' }, 202)
  })

  app.post(path('password-reset/confirm'), async (c) => {
    await limitAddress(c, control, 'reset')
    const { token, new_password } = await bodyOf(c, reset)
    await accounts.reset({ secret: token, next: new_password })
    return c.body(null, 204)
  })

  app.post(path('password'), async (c) => {
    await limitAddress(c, control, 'sign_in')
    const { owner, sessionId, user } = await operatorOf(c)
    if (owner.accountId === null || user.email === null) throw errorOf('access_denied')
    const { current_password, new_password } = await bodyOf(c, passwordChange)
    await accounts.changePassword(
      { email: user.email, sessionId },
      { current: current_password, next: new_password },
    )
    return c.body(null, 204)
  })
}
