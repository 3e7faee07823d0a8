/** Logging a service account in and out (control-api §12.3). Unknown, wrong and inactive look and cost the same. */
import { errorOf } from '../../platform/http/errors/registry.ts'
import { overLimit } from './authenticate.ts'
import type { Control } from './control.ts'
import { deniedLoginKey } from './credentials.ts'
import { iamInvalidated } from './events.ts'
import type { Call } from './route.ts'
import { findAccountByName, recordLogin } from './store/service-accounts.ts'

const PER_ADDRESS = 10
const MINUTE_MS = 60_000

/** Throws 429 over the limit and when nobody can count. */
async function limitAddress(control: Control, clientIp: string): Promise<void> {
  const counter = await control.ephemera
    .increment(`api:login:ip:${clientIp}`, MINUTE_MS)
    .catch((error: unknown) => {
      control.log.warn({ err: error }, 'login_limit_unavailable')
      throw overLimit(MINUTE_MS)
    })
  if (counter.count > PER_ADDRESS) throw overLimit(counter.remainingMs)
}

/** The active account of that name and password. */
async function proveAccount(control: Control, call: Call<unknown, unknown>, input: LoginInput) {
  const account = await findAccountByName(control.db, input.username)
  const proved =
    account === null
      ? await control.hasher.verifyUnknown(input.password, call)
      : await control.hasher.verify(input.password, account.password_hash, call)
  return proved && account?.status === 'active' ? account : null
}

export interface LoginInput {
  readonly username: string
  readonly password: string
  readonly ttl_seconds: number
}

/** Throws 401 `invalid_credentials`; 429 after ten attempts a minute of an address or five failures of a name in a row. */
export async function logIn(control: Control, call: Call<unknown, unknown>, input: LoginInput) {
  await limitAddress(control, call.clientIp)
  const account = await control.logins.attempt(input.username, () => proveAccount(control, call, input))
  if (account === null) throw errorOf('invalid_credentials')
  await recordLogin(control.db, account.id)
  const access_token = await control.tokens.issue({
    id: account.id,
    username: account.username,
    zoneId: account.zone_id,
    tokenVersion: account.token_version,
    ttlSeconds: input.ttl_seconds,
  })
  return {
    access_token,
    token_type: 'Bearer',
    expires_in: input.ttl_seconds,
    principal: { kind: 'service_account', id: account.id, name: account.username, zone_id: account.zone_id },
  }
}

/** Denies the presented login token until it would have expired; other credentials have nothing to end. */
export async function logOut(control: Control, call: Call<unknown, unknown>): Promise<void> {
  const { jti, expiresAt, id } = call.principal
  if (jti === undefined || expiresAt === null) return
  const left = expiresAt - Date.now()
  if (left <= 0) return
  await control.ephemera.set(deniedLoginKey(jti), '1', left)
  await control.db.transaction((tx) =>
    control.outbox.enqueue(tx, 'control', [iamInvalidated(id, call.requestId)]),
  )
}
