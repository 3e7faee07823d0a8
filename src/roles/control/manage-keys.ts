/** API keys (control-api §12.4): shown once, kept as a hash, rotated with a grace time. */
import { randomBytes } from 'node:crypto'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { iamZoneOf } from './manage-accounts.ts'
import { found, notFound } from './not-found.ts'
import { guardKeyRules, heldRules } from './rbac/escalation.ts'
import { type Rule, rulesAt, rulesCover } from './rbac/rules.ts'
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

const YEAR_MS = 366 * 24 * 3600 * 1000

function compose(id: string): { readonly key: string; readonly secret: string; readonly prefix: string } {
  const secret = randomBytes(32).toString('base64url')
  const key = `cak_${id.replaceAll('-', '')}_${secret}`
  return { key, secret, prefix: key.slice(0, 12) }
}

function checkExpiry(expiresAt: string | undefined): void {
  if (expiresAt === undefined) return
  const at = Date.parse(expiresAt)
  if (at > Date.now() && at <= Date.now() + YEAR_MS) return
  throw errorOf('invalid_api_key_request', { message: 'expires_at must lie within the next year' })
}

/** A key acts as its account, so making one for another takes what that account holds. */
async function guardAccount(
  control: Control,
  call: AnyCall,
  accountId: string,
  rules: readonly Rule[] | null,
  zoneId: string | null,
) {
  if (call.principal.accountId === accountId && rules === null) return
  const bindings = await bindingsOf(control.db, accountId)
  const scopes = zoneId === null ? new Set(bindings.map((binding) => binding.zoneId)) : new Set([zoneId])
  for (const scope of scopes) {
    const granted = rules ?? rulesAt(bindings, scope)
    if (call.principal.accountId !== accountId && !rulesCover(heldRules(call.principal, scope), granted)) {
      throw errorOf('privilege_escalation')
    }
  }
  if (rules !== null && call.principal.accountId === accountId) guardKeyRules(call.principal, zoneId, rules)
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
  await guardAccount(control, call, account.id, rules, zoneId)
  const id = uuidv7()
  const { key, secret, prefix } = compose(id)
  const row = await control.db.transaction((tx) =>
    insertApiKey(tx, {
      id,
      name: input.name,
      prefix,
      zoneId: zoneId ?? account.zone_id,
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
  // Whoever sees the new secret can act as the account.
  await guardAccount(control, call, current.service_account_id, current.rules, current.zone_id)
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
