/** An outbox row as the stream entry it becomes, signed (audit-and-events §9.2, §9.3). */
import type { OutgoingEntry } from '../bus/port.ts'
import { signEntry } from '../bus/signature.ts'
import type { HmacKey } from '../keys.ts'
import { flattenPayload } from './flatten.ts'

export type EntryMaker = (row: {
  readonly id: string
  readonly topic: string
  readonly dedupeKey: string
  readonly payload: Readonly<Record<string, unknown>>
}) => OutgoingEntry

/** Never trimmed by publishing: it could delete evidence that was not ingested (audit-and-events §6.5). */
function isAuditStream(topic: string): boolean {
  return topic === 'caracal.audit.events' || topic.startsWith('caracal.audit.events.')
}

export function createEntryMaker(key: HmacKey, streamMaxLength: number): EntryMaker {
  return ({ id, topic, dedupeKey, payload }) => ({
    stream: topic,
    fields: signEntry(key, topic, { ...flattenPayload(payload), outbox_id: id, dedupe_key: dedupeKey }),
    ...(isAuditStream(topic) ? {} : { maxLength: streamMaxLength }),
  })
}
