/**
 * One audit event as it travels on the bus: the JSON text exactly as serialised once
 * by its producer, and a signature over those bytes (audit-and-events §1.1, §2).
 */
import type { Fields } from '../../platform/bus/port.ts'
import { signHmac, verifyHmac } from '../../platform/crypto/hmac.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import type { AuditEvent } from './event.ts'

export const auditStream = 'caracal.audit.events'
export const auditDeadLetterStream = 'caracal.audit.events.dlq'
export const ingestGroup = 'audit-ingestor'

/** The stream fields of an event text. Without a key (dev only) there is no `sig`. */
export function frame(id: string, data: string, key: HmacKey): Fields {
  const sig = signHmac(key, data)
  return sig === null ? { id, data } : { id, data, sig }
}

/** The event as an outbox row, for roles that record evidence in the transaction of the change itself. */
export function auditOutboxEvent(key: HmacKey, event: AuditEvent): OutboxEvent {
  return {
    topic: auditStream,
    dedupeKey: event.id,
    requestId: event.request_id,
    payload: frame(event.id, serialise(event), key),
  }
}

/** The one serialisation of an event; signed, journaled and sent as it is. */
export function serialise(event: AuditEvent): string {
  return JSON.stringify(event)
}

/** True when the entry may be trusted: signed by an accepted key, or no key is configured at all. */
export function isAuthentic(data: string, signature: string | undefined, key: HmacKey): boolean {
  return verifyHmac(key, data, signature)
}
