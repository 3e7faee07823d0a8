/** Picks the credential of a request and proves it (control-api §12.1). */
import type { Context } from 'hono'
import { readBearer } from '../../platform/http/bearer.ts'
import { type Authenticator, createAuthenticator } from './authenticate.ts'
import type { Control } from './control.ts'
import type { Principal } from './principal.ts'

export interface Credentials {
  /** The principal of the request. Throws 401, 429, or 400 `ambiguous_credentials`. */
  principalOf(c: Context, clientIp: string): Promise<Principal>
  /** Stands in where an operation proves its caller by other means; holds nothing. */
  readonly anonymous: Principal
  readonly authenticator: Authenticator
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
  bindings: null,
  accountId: null,
  expiresAt: null,
}

export function createCredentials(control: Control): Credentials {
  const authenticator = createAuthenticator(control)
  return {
    anonymous,
    authenticator,
    principalOf: (c, clientIp) => authenticator.adminToken(readBearer(c), clientIp),
  }
}
