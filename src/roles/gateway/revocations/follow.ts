/**
 * Events every gateway process reads for itself, from the end and without a group:
 * rotated zone keys and suspended sessions. Losing one is not losing authority:
 * keys expire from the cache, and a suspended session is refused by the exchange.
 */
import type { Bus, StreamEntry, Tail } from '../../../platform/bus/port.ts'
import { verifyEntry } from '../../../platform/bus/signature.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import type { Platform } from '../../../platform/platform.ts'
import { keysStream, lifecycleStream, suspendedSession } from './entries.ts'
import type { Revocations } from './set.ts'

export interface FollowDeps {
  readonly bus: Bus
  readonly key: HmacKey
  readonly log: Platform['log']
  readonly revocations: Revocations
  /** `undefined`: any zone may have changed. */
  readonly onKeysChanged: (zoneId: string | undefined) => void
}

export function followInvalidations(deps: FollowDeps): Promise<Tail> {
  const apply = (entry: StreamEntry): void => {
    if (!verifyEntry(deps.key, entry.stream, entry.fields)) {
      deps.log.warn({ stream: entry.stream, entry_id: entry.id }, 'stream_signature_invalid')
      return
    }
    if (entry.stream === keysStream) {
      if (entry.fields.zone_id) deps.onKeysChanged(entry.fields.zone_id)
      return
    }
    const session = suspendedSession(entry.fields)
    if (session !== null) deps.revocations.cutSession(session)
  }
  return deps.bus.tail({
    streams: [keysStream, lifecycleStream],
    from: 'end',
    onEntries: (entries) => {
      for (const entry of entries) apply(entry)
    },
    onGap: () => deps.onKeysChanged(undefined),
  })
}
