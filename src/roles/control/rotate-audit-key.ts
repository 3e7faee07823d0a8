/**
 * A new key for the receipts of a zone. The rotation is itself an event of the zone's
 * ledger, so the chain grows and the next head, signed by the new key, covers all before it.
 */
import type { JWK } from 'jose'
import type { AuditReceipts } from '../audit/index.ts'
import { type Control, writing } from './control.ts'
import { auditEvent } from './events.ts'
import { attributionOf } from './principal.ts'
import type { Call } from './route.ts'

export function rotateAuditKey(
  control: Control,
  receipts: AuditReceipts,
  call: Call<unknown, unknown>,
): Promise<JWK> {
  return writing(control, call, async (tx) => {
    const { key, previousKid } = await receipts.rotateKey(tx, call.zoneId)
    await control.outbox.enqueue(tx, 'control', [
      auditEvent(
        {
          zoneId: call.zoneId,
          eventType: 'audit_key_rotated',
          decision: 'allow',
          requestId: call.requestId,
          metadata: { kid: key.kid, previous_kid: previousKid, actor: attributionOf(call.principal) },
        },
        control.keys.audit,
      ),
    ])
    return key
  })
}
