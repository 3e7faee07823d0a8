/**
 * Revocations of authority records (sts §9): a message that names one marks it and
 * everything minted under it, durably and once for all replicas. Messages that name
 * only sessions or delegations change nothing here: their state is read at every mint.
 */
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { type Consumer, createConsumer } from '../../platform/bus/consume.ts'
import type { Bus, ClaimedEntry } from '../../platform/bus/port.ts'
import type { Database } from '../../platform/db/port.ts'
import type { Ephemera } from '../../platform/ephemera/port.ts'
import { uuidv4 } from '../../platform/ids.ts'
import type { HmacKey } from '../../platform/keys.ts'
import { revocationStream } from './events.ts'
import { revokeRecord } from './store/revoke-record.ts'
import { readToldRevocations } from './store/told-revocations.ts'

export interface RevocationDeps {
  readonly db: Database
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly streamsKey: HmacKey
  readonly log: Logger
}

const defaultReason = 'session_revoked'

export function consumeRevocations(deps: RevocationDeps): Consumer {
  const { db } = deps

  async function handle(entry: ClaimedEntry): Promise<void> {
    const { zone_id: zoneId, session_id: recordId, reason } = entry.fields
    if (!zoneId) throw new Error('revocation names no zone')
    if (!recordId) {
      if (entry.fields.agent_session_id || entry.fields.delegation_edge_id) return
      throw new Error('revocation names no anchor')
    }
    await revokeRecord(db, zoneId, recordId, reason || defaultReason)
  }

  return createConsumer({
    bus: deps.bus,
    ephemera: deps.ephemera,
    key: deps.streamsKey,
    log: deps.log,
    stream: revocationStream,
    group: 'sts-revocation',
    consumer: `sts-${hostname()}-${process.pid}-${uuidv4().slice(0, 8)}-revocation`,
    from: 'end',
    batchSize: 10,
    handle,
    async onReset() {
      for (const { zone_id, session_id, reason } of await readToldRevocations(db)) {
        if (zone_id !== null && session_id !== null) {
          await revokeRecord(db, zone_id, session_id, reason ?? defaultReason)
        }
      }
    },
  })
}
