/**
 * Token revocation (RFC 7009): an application ends a mandate of its own. What is
 * revoked is the authority record behind it, with everything minted under it; the
 * event leaves in the same transaction, so gateways and resource servers learn of it.
 */
import type { Caller } from '../../../platform/crypto/port.ts'
import type { Outbox } from '../../../platform/outbox/port.ts'
import { revocationStream } from '../events.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Form } from '../form.ts'
import { accessDenied } from '../refusal.ts'
import { revokeRecordIn } from '../store/revoke-record.ts'
import { openPresentedToken } from './presented-token.ts'

const reason = 'client_revoked'

/** Resolves also when there is nothing to revoke (RFC 7009 §2.2). */
export async function revokeToken(
  form: Form,
  requestId: string,
  deps: ExchangeDeps & { readonly outbox: Outbox },
  caller: Caller,
): Promise<void> {
  const { x, claims } = await openPresentedToken(form, requestId, deps, caller)
  const sid = claims?.sid
  if (claims === null || typeof sid !== 'string') return
  if (claims.client_id !== x.application.id) throw accessDenied('token belongs to another application')
  await deps.outbox.transaction(deps.db, async (tx) => {
    const revoked = await revokeRecordIn(tx, x.zoneId, sid, reason)
    if (revoked === 0) return
    await deps.outbox.enqueue(tx, 'sts', [
      {
        topic: revocationStream,
        requestId,
        payload: { zone_id: x.zoneId, session_id: sid, reason },
      },
    ])
  })
}
