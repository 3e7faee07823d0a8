/** Service accounts, API keys and console accounts as principals: what their bindings grant, as it stands in the database now. */
import type { Control } from './control.ts'
import type { Principal } from './principal.ts'
import { accountBinding } from './rbac/built-in-roles.ts'
import { type Binding, bindingsGrant, narrowedBindings } from './rbac/rules.ts'
import { findUsableKey, type StoredApiKey } from './store/api-keys.ts'
import type { ConsoleAccount } from './store/console-accounts.ts'
import { bindingsOf, findAccountSecret } from './store/service-accounts.ts'

const KEY_PATTERN = /^cak_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/

/** Holds everything everywhere: only then are Control's own objects its to manage. */
function administersPlatform(bindings: readonly Binding[], zoneId: string | null): boolean {
  const everything = { apiGroup: '*', resource: '*', verb: '*' }
  return zoneId === null && bindingsGrant(bindings, everything, null, null)
}

function principal(
  facts: Pick<Principal, 'kind' | 'id' | 'name' | 'zoneId' | 'accountId' | 'expiresAt'> & {
    readonly jti?: string
  },
  bindings: readonly Binding[],
): Principal {
  const administers = administersPlatform(bindings, facts.zoneId)
  return {
    ...facts,
    capability: 'write',
    bootstrap: false,
    derived: false,
    seesEverything: administers,
    managesControl: administers,
    bindings,
  }
}

/** The account behind a verified login token; `null` when it is gone, off, or the token is from before a change. */
export async function accountPrincipal(
  control: Control,
  claims: { readonly sub: string; readonly tv: number; readonly exp: number; readonly jti: string },
): Promise<Principal | null> {
  const account = await findAccountSecret(control.db, claims.sub)
  if (account === null || account.status !== 'active' || account.token_version !== claims.tv) return null
  const bindings = await bindingsOf(control.db, account.id)
  return principal(
    {
      kind: 'service_account',
      id: account.id,
      name: account.username,
      zoneId: account.zone_id,
      accountId: account.id,
      expiresAt: claims.exp * 1000,
      jti: claims.jti,
    },
    bindings,
  )
}

async function proves(control: Control, key: StoredApiKey, secret: string): Promise<boolean> {
  if (await control.hasher.verify(secret, key.secret_hash)) return true
  return key.previous_hash !== null && (await control.hasher.verify(secret, key.previous_hash))
}

/** The principal of an API key; `null` for anything but a usable key with its secret. */
export async function keyPrincipal(control: Control, presented: string): Promise<Principal | null> {
  const match = KEY_PATTERN.exec(presented)
  if (match?.[1] === undefined || match[2] === undefined) return null
  const hex = match[1]
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    '-',
  )
  const key = await findUsableKey(control.db, id)
  if (key === null || !(await proves(control, key, match[2]))) return null
  const own = await bindingsOf(control.db, key.service_account_id)
  const bindings = narrowedBindings(own, key.rules)
  return principal(
    {
      kind: 'api_key',
      id: key.id,
      name: key.name,
      zoneId: key.zone_id ?? key.account_zone_id,
      accountId: key.service_account_id,
      expiresAt: key.expires_at?.getTime() ?? null,
    },
    bindings,
  )
}

/** A person who signed in to the console with e-mail and password. One without a zone sees none, and may make one. */
export async function consolePrincipal(
  control: Pick<Control, 'db'>,
  { id, email }: Pick<ConsoleAccount, 'id' | 'email'>,
): Promise<Principal> {
  const bindings = [accountBinding, ...(await bindingsOf(control.db, id, 'account'))]
  return principal(
    { kind: 'console', id, name: email, zoneId: null, accountId: id, expiresAt: null },
    bindings,
  )
}
