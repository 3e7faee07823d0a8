import type { Queryable } from '../../../platform/db/port.ts'
import { storableOrNull, storableText } from '../../../platform/db/storable-text.ts'

export interface DeadLetter {
  /** Id of the entry on the dead letter stream. */
  readonly id: string
  readonly reason: string
  readonly srcId: string
  readonly eventId: string | null
  readonly zoneId: string | null
  readonly data: string | null
  readonly sig: string | null
}

/** Keeps a dead letter, whatever it holds, where losing the stream does not lose it. Repeating an id changes nothing. */
export async function recordDeadLetter(db: Queryable, letter: DeadLetter): Promise<void> {
  const { id, srcId } = letter
  const reason = storableText(letter.reason)
  const [eventId, zoneId] = [storableOrNull(letter.eventId), storableOrNull(letter.zoneId)]
  const [data, sig] = [storableOrNull(letter.data), storableOrNull(letter.sig)]
  await db.sql`
    insert into audit_dead_letters (id, reason, src_id, event_id, zone_id, data, sig, received_at)
    values (${id}, ${reason}, ${srcId}, ${eventId}, ${zoneId}, ${data}, ${sig}, now())
    on conflict (id) do nothing`
}

/** Notes which kept copies went back to the stream. */
export async function markReplayed(db: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await db.sql`
    update audit_dead_letters
    set replayed_at = now()
    where id = any(${ids as string[]}::text[])`
}
