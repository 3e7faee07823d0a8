/**
 * Picks the credential of a request and proves it (control-api §12.1). Failures are not
 * remembered and share one budget per address.
 */
import type { Context } from 'hono'
import { readBearer } from '../../platform/http/bearer.ts'
import { type ErrorCode, errorOf } from '../../platform/http/errors/registry.ts'
import { accountPrincipal, keyPrincipal } from './account-principal.ts'
import { type Authenticator, createAuthenticator } from './authenticate.ts'
import { operatorOf } from './console/hand-over.ts'
import type { Control } from './control.ts'
import { looksLikeJwt } from './platform-token.ts'
import type { Principal } from './principal.ts'
import { createProvenPrincipals } from './proven-principals.ts'
import { touchApiKey } from './store/api-keys.ts'

export interface Credentials {
  /** The principal of the request. Throws 401, 429, or 400 `ambiguous_credentials`. */
  principalOf(c: Context, clientIp: string): Promise<Principal>
  /** Stands in where an operation proves its caller by other means; holds nothing. */
  readonly anonymous: Principal
  readonly authenticator: Authenticator
  /** Hears of changed principals from now until the disposal of what it answers. */
  follow(): Promise<AsyncDisposable>
}

const anonymous: Principal = {
  kind: 'admin_token',
  id: 'anonymous',
  name: 'anonymous',
  zoneId: null,
  capability: 'read',
  bootstrap: false,
  derived: false,
  seesEverything: false,
  managesControl: false,
  bindings: [],
  accountId: null,
  expiresAt: null,
}

/** Key under which a logged-out token is refused until it would have expired. */
export const deniedLoginKey = (jti: string): string => `caracal:auth:denied:${jti}`

export function createCredentials(control: Control): Credentials {
  const proven = createProvenPrincipals(control)
  const authenticator = createAuthenticator(control, proven)

  const apiKey = (presented: string): Promise<Principal | null> =>
    proven.prove('api_key', presented, async () => {
      const principal = await keyPrincipal(control, presented)
      if (principal !== null) void touch(principal.id)
      return principal
    })

  async function touch(id: string): Promise<void> {
    const windowMs = Math.max(1, control.settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC) * 1000
    try {
      if (await control.ephemera.setIfAbsent(`api:api_key_touched:${id}`, '1', windowMs)) {
        await touchApiKey(control.db, id)
      }
    } catch (error) {
      control.log.debug({ err: error }, 'api_key_touch_skipped')
    }
  }

  /** A login token of ours, proved and not logged out. Uncertainty about the latter is a refusal. */
  async function loginToken(presented: string): Promise<Principal | null> {
    const claims = await control.tokens.verify(presented)
    if (claims === null) return null
    const denied = await control.ephemera.get(deniedLoginKey(claims.jti)).catch((cause: unknown) => {
      throw errorOf('service_unavailable', { cause })
    })
    if (denied !== null) return null
    return accountPrincipal(control, claims)
  }

  async function orRefuse(
    principal: Principal | null,
    code: ErrorCode,
    clientIp: string,
  ): Promise<Principal> {
    if (principal !== null) return principal
    throw await authenticator.failure(errorOf(code), clientIp)
  }

  return {
    anonymous,
    authenticator,
    follow: () => proven.follow(),
    async principalOf(c, clientIp) {
      const operator = operatorOf(c.req.raw)
      if (operator !== null) return operator
      const bearer = readBearer(c)
      const header = c.req.header('x-api-key')
      if (header !== undefined && c.req.header('authorization') !== undefined) {
        throw errorOf('ambiguous_credentials')
      }
      if (header !== undefined) return orRefuse(await apiKey(header), 'invalid_api_key', clientIp)
      if (bearer?.startsWith('cak_')) return orRefuse(await apiKey(bearer), 'invalid_api_key', clientIp)
      if (bearer === null || !looksLikeJwt(bearer)) return authenticator.adminToken(bearer, clientIp)
      const principal =
        (await proven.prove('login', bearer, () => loginToken(bearer))) ?? (await authenticator.find(bearer))
      return orRefuse(principal, 'invalid_token', clientIp)
    },
  }
}
