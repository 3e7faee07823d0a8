/** API keys (control-api §12.4): shown once, kept as a hash, rotated with a grace time. */
import { randomBytes } from 'node:crypto'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { iamZoneOf } from './manage-accounts.ts'
import { found, notFound } from './not-found.ts'
import { guardCredential } from './rbac/escalation.ts'
import { narrowedBindings, type Rule } from './rbac/rules.ts'
import type { Call } from './route.ts'
import { type ApiKey, findApiKey, insertApiKey, revokeApiKey, rotateApiKey } from './store/api-keys.ts'
import { bindingsOf, findServiceAccount, type IamZone } from './store/service-accounts.ts'

type AnyCall = Call<unknown, unknown>

export interface KeyInput {
  readonly name: string
  readonly service_account_id?: string | undefined
  readonly zone_id?: string | null | undefined
  readonly expires_at?: string | undefined
  readonly rules?: readonly Rule[] | undefined
}

export interface KeyWithSecret extends ApiKey {
  readonly key: string
}

function compose(id: string): { readonly key: string; readonly secret: string; readonly prefix: string } {
  const secret = randomBytes(32).toString('base64url')
  const key = `cak_${id.replaceAll('-', '')}_${secret}`
  return { key, secret, prefix: key.slice(0, 12) }
}

function checkExpiry(expiresAt: string | undefined): void {
  if (expiresAt === undefined) return
  const at = Date.parse(expiresAt)
  const now = new Date()
  // A year ends on the same day of the next one.
  const latest = new Date(now).setUTCFullYear(now.getUTCFullYear() + 1)
  if (at > now.getTime() && at <= latest) return
  throw errorOf('invalid_api_key_request', { message: 'expires_at must lie within the next year' })
}

/** Whoever sees the secret can do what the key can. Throws 403 `privilege_escalation`. */
async function guardKey(
  control: Control,
  call: AnyCall,
  key: Pick<ApiKey, 'service_account_id' | 'rules' | 'zone_id'>,
): Promise<void> {
  const own = await bindingsOf(control.db, key.service_account_id)
  guardCredential(call.principal, narrowedBindings(own, key.rules), key.zone_id)
}

/** Throws 400; 403 `privilege_escalation`; 404 `service_account_not_found`, `zone_not_found`. */
export async function createKey(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  input: KeyInput,
): Promise<KeyWithSecret> {
  checkExpiry(input.expires_at)
  const zoneId = await iamZoneOf(control, zone, input.zone_id)
  const wanted = input.service_account_id ?? call.principal.accountId
  if (wanted === null || wanted === undefined) {
    throw errorOf('invalid_api_key_request', { message: 'name the service account the key acts as' })
  }
  const account = found(await findServiceAccount(control.db, undefined, wanted), 'service_account_not_found')
  // A key never reaches beyond its account, and a zone's own collection never names another zone's account.
  if (account.zone_id !== null && account.zone_id !== (zoneId ?? account.zone_id)) {
    throw notFound('service_account_not_found')
  }
  const rules = input.rules ?? null
  const keyZone = zoneId ?? account.zone_id
  await guardKey(control, call, { service_account_id: account.id, rules, zone_id: keyZone })
  const id = uuidv7()
  const { key, secret, prefix } = compose(id)
  const row = await control.db.transaction((tx) =>
    insertApiKey(tx, {
      id,
      name: input.name,
      prefix,
      zoneId: keyZone,
      accountId: account.id,
      rules,
      secretHash: control.hasher.hashGenerated(secret),
      expiresAt: input.expires_at ?? null,
      by: call.attribution.by,
    }),
  )
  return { ...row, key }
}

export async function rotateKey(
  control: Control,
  call: AnyCall,
  zone: IamZone,
  graceSeconds: number,
): Promise<KeyWithSecret> {
  const current = found(await findApiKey(control.db, zone, call.id), 'api_key_not_found')
  await guardKey(control, call, current)
  const { key, secret } = compose(call.id)
  const row = await control.db.transaction(async (tx) => {
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
    return rotateApiKey(tx, zone, call.id, control.hasher.hashGenerated(secret), graceSeconds)
  })
  return { ...found(row, 'api_key_not_found'), key }
}

export async function revokeKey(control: Control, call: AnyCall, zone: IamZone): Promise<void> {
  await control.db.transaction(async (tx) => {
    if (!(await revokeApiKey(tx, zone, call.id))) throw notFound('api_key_not_found')
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(call.id, call.requestId)])
  })
}
