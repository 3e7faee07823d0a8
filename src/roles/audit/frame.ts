/**
 * One audit event as it travels on the bus: the JSON text exactly as serialised once
 * by its producer, and a signature over those bytes (audit-and-events §1.1, §2).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Fields } from '../../platform/bus/port.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { AuditEvent } from './event.ts'

export const auditStream = 'caracal.audit.events'
export const auditDeadLetterStream = 'caracal.audit.events.dlq'
export const ingestGroup = 'audit-ingestor'

/** The stream fields of an event text. Without a key (dev only) there is no `sig`. */
export function frame(id: string, data: string, key: HmacKey): Fields {
  if (key.current === null) return { id, data }
  return { id, data, sig: signatureOf(key.current, data) }
}

/** The one serialisation of an event; signed, journaled and sent as it is. */
export function serialise(event: AuditEvent): string {
  return JSON.stringify(event)
}

/** True when the entry may be trusted: signed by an accepted key, or no key is configured at all. */
export function isAuthentic(data: string, signature: string | undefined, key: HmacKey): boolean {
  if (key.accepted.length === 0) return true
  if (signature === undefined || !/^[0-9a-f]{64}$/.test(signature)) return false
  const presented = Buffer.from(signature, 'hex')
  return key.accepted.some((candidate) =>
    timingSafeEqual(presented, createHmac('sha256', candidate).update(data).digest()),
  )
}

function signatureOf(key: Buffer, data: string): string {
  return createHmac('sha256', key).update(data).digest('hex')
}
