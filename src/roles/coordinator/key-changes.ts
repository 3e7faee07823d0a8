/** Follows `caracal.keys.invalidate`: a retired key must not verify until its cache entry ages out. */
import type { StreamEntry, Tail } from '../../platform/bus/port.ts'
import { verifyEntry } from '../../platform/bus/signature.ts'
import type { KeySet } from '../../platform/jose/key-set.ts'
import type { MandateVerifier } from '../../platform/jose/mandate-verifier.ts'
import type { CoordinatorDeps } from './deps.ts'

const stream = 'caracal.keys.invalidate'

export function followKeyChanges(
  { bus, keys, log }: Pick<CoordinatorDeps, 'bus' | 'keys' | 'log'>,
  keySet: KeySet,
  verifier: MandateVerifier,
): Promise<Tail> {
  const forget = (zoneId?: string): void => {
    keySet.flush(zoneId)
    verifier.flush()
  }
  const apply = (entry: StreamEntry): void => {
    if (!verifyEntry(keys.streams, entry.stream, entry.fields)) {
      log.warn({ stream: entry.stream, entry: entry.id }, 'stream_signature_invalid')
      return
    }
    if (entry.fields.zone_id) forget(entry.fields.zone_id)
  }
  return bus.tail({
    streams: [stream],
    from: 'end',
    onEntries: (entries) => entries.forEach(apply),
    onGap: () => forget(),
  })
}
