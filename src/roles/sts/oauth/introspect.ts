/** Token introspection (RFC 7662) for applications of the token's own zone. */
import type { Caller } from '../../../platform/crypto/port.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Form } from '../form.ts'
import { openPresentedToken, restsOnLiveAuthority } from './presented-token.ts'

/** Members of RFC 7662 §2.2 and the mandate's own claims; `{active:false}` says nothing about why. */
export async function introspect(
  form: Form,
  requestId: string,
  deps: ExchangeDeps,
  caller: Caller,
): Promise<Readonly<Record<string, unknown>>> {
  const { x, claims } = await openPresentedToken(form, requestId, deps, caller)
  if (claims === null || !(await restsOnLiveAuthority(x, claims, deps))) return { active: false }
  return { active: true, token_type: 'Bearer', ...claims }
}
