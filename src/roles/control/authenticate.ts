/**
 * Who presents this bearer (control-api §3.1, §12.1). Only proofs are remembered; a
 * failure is looked up again each time, and each costs the caller's address one of
 * its failed attempts.
 */
import { Counter } from 'prom-client'
import type { CaracalError } from '../../platform/errors.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { BOOTSTRAP, isDerived } from './console-tokens.ts'
import type { Control } from './control.ts'
import type { Principal } from './principal.ts'
import type { ProvenPrincipals } from './proven-principals.ts'
import { retryAfter } from './retry-after.ts'
import { findAdminToken, type StoredAdminToken, touchAdminToken } from './store/admin-tokens.ts'

export interface Authenticator {
  /** The principal behind an opaque admin token. Throws 401 `invalid_admin_token`, or 429 once the address spent its attempts. */
  adminToken(bearer: string | null, clientIp: string): Promise<Principal>
  /** The same without counting a failure; `null` for an unknown token. */
  find(bearer: string): Promise<Principal | null>
  /** Counts one failed attempt of `clientIp` and answers the error to throw: `refusal`, or 429 over the budget. */
  failure(refusal: CaracalError, clientIp: string): Promise<CaracalError>
}

const MINUTE_MS = 60_000

/** What a live admin token may do. */
export function tokenPrincipal(token: Omit<StoredAdminToken, 'token_hash'>): Principal {
  return {
    kind: 'admin_token',
    id: token.id,
    name: token.name,
    zoneId: token.zone_id,
    capability: token.capability,
    bootstrap: token.created_by === BOOTSTRAP,
    derived: isDerived(token.created_by),
    seesEverything: token.scope === 'global',
    managesControl: token.scope === 'global',
    bindings: null,
    accountId: null,
    expiresAt: null,
  }
}

export function createAuthenticator(control: Control, proven: ProvenPrincipals): Authenticator {
  async function proof(bearer: string): Promise<Principal | null> {
    const token = await findAdminToken(control.db, control.hasher.lookup(bearer))
    if (token === null || !(await control.hasher.verify(bearer, token.token_hash))) return null
    void touch(token.id)
    return tokenPrincipal(token)
  }

  const find = (bearer: string) => proven.prove('admin_token', bearer, () => proof(bearer))

  /** Writes `last_used_at` at most once per debounce window over all processes; evidence of use is not worth a failed call. */
  async function touch(id: string): Promise<void> {
    const windowMs = control.settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC * 1000
    try {
      if (
        windowMs > 0 &&
        !(await control.ephemera.setIfAbsent(`api:admin_token_touched:${id}`, '1', windowMs))
      )
        return
      await touchAdminToken(control.db, id)
    } catch (error) {
      control.log.debug({ err: error }, 'admin_token_touch_skipped')
    }
  }

  const failures = new Counter({
    name: 'caracal_api_auth_failures_total',
    help: 'Requests with a credential that proved nothing',
    registers: [control.metrics],
  })

  async function failure(refusal: CaracalError, clientIp: string): Promise<CaracalError> {
    failures.inc()
    const limit = control.settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN
    try {
      const { count, remainingMs } = await control.ephemera.countInWindow(
        `api:admin_auth_fail:${clientIp}`,
        MINUTE_MS,
      )
      return count <= limit ? refusal : overLimit(remainingMs)
    } catch (error) {
      control.log.warn({ err: error }, 'failed_login_limit_unavailable')
      return overLimit(MINUTE_MS)
    }
  }

  return {
    failure,
    find,
    async adminToken(bearer, clientIp) {
      const principal = bearer === null ? null : await find(bearer)
      if (principal === null) throw await failure(errorOf('invalid_admin_token'), clientIp)
      return principal
    },
  }
}

export function overLimit(remainingMs: number): CaracalError {
  return errorOf('rate_limited', { headers: retryAfter(remainingMs) })
}
