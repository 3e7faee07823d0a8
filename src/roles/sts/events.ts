/**
 * What this role hears (sts §9). Revocations are durable work, done once for all
 * replicas by a work group. Policy and key changes only drop or refresh caches, so
 * every process reads them for itself, from a position taken before its first load.
 */
import type { Logger } from 'pino'
import type { Bus, StreamEntry, Tail } from '../../platform/bus/port.ts'
import { verifyEntry } from '../../platform/bus/signature.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { PolicyBundles } from './policy-bundles.ts'
import type { SigningKeys } from './signing-keys.ts'

export const revocationStream = 'caracal.sessions.revoke'
const policyStream = 'caracal.policy.invalidate'
const keysStream = 'caracal.keys.invalidate'

export interface InvalidationDeps {
  readonly bus: Bus
  readonly streamsKey: HmacKey
  readonly bundles: PolicyBundles
  readonly keys: SigningKeys
  readonly log: Logger
}

/** Follows policy and key changes. A gap means something may have been missed: everything is read again. */
export function followInvalidations(deps: InvalidationDeps): Promise<Tail> {
  const { bus, streamsKey, bundles, keys, log } = deps

  async function apply(entry: StreamEntry): Promise<void> {
    if (!verifyEntry(streamsKey, entry.stream, entry.fields)) {
      log.warn({ stream: entry.stream, entry: entry.id }, 'stream_signature_invalid')
      return
    }
    const zoneId = entry.fields.zone_id
    if (zoneId === undefined || zoneId === '') return
    if (entry.stream === keysStream) keys.forget(zoneId)
    // A delegation change leaves policy as it is: every exchange reads its lineage anyway.
    else if (entry.fields.reason !== 'delegation_change') await bundles.reload(zoneId)
  }

  return bus.tail({
    streams: [policyStream, keysStream],
    from: 'end',
    async onEntries(entries) {
      for (const entry of entries) {
        await apply(entry).catch((error: unknown) => {
          // The next exchange of the zone compares versions itself.
          log.warn({ err: error, stream: entry.stream, entry: entry.id }, 'invalidation_failed')
        })
      }
    },
    async onGap() {
      keys.forget()
      await bundles.refresh()
    },
  })
}
