/** What entries of the bus say to the gateway (gateway §8.3, audit-and-events §9.2). */
import type { Fields, StreamEntry } from '../../../platform/bus/port.ts'
import type { Anchors } from './set.ts'

export const revocationStream = 'caracal.sessions.revoke'
/** Every gateway process needs every message, so each has a group of its own. */
export const groupPrefix = 'gateway-revocation:'

/** `worker` is 1-based; workers after the first have groups of their own. */
export const revocationGroup = (host: string, worker: number): string =>
  `${groupPrefix}${host}${worker > 1 ? `:${worker}` : ''}`

export const lifecycleStream = 'caracal.agents.lifecycle'
export const delegationStream = 'caracal.delegations.invalidate'
export const keysStream = 'caracal.keys.invalidate'

/**
 * The anchors of a revocation entry, `null` when it names none. `session_id` is the
 * authority record on this stream (wire name kept); `edge_id` is an alias.
 */
export function anchorsOfEntry(fields: Fields): Anchors | null {
  const present = (...names: string[]): string[] =>
    names.map((name) => fields[name] ?? '').filter((id) => id !== '')
  const delegation = fields.delegation_edge_id || fields.edge_id || ''
  const anchors = {
    records: present('session_id', 'sid', 'root_sid'),
    sessions: present('agent_session_id'),
    delegations: delegation === '' ? [] : [delegation],
  }
  return anchors.records.length + anchors.sessions.length + anchors.delegations.length === 0 ? null : anchors
}

/** The zone's delegation epoch a delegation entry tells, `null` when it tells none. */
export function epochOfEntry(fields: Fields): { readonly zoneId: string; readonly epoch: string } | null {
  const { zone_id: zoneId, epoch } = fields
  if (!zoneId || epoch === undefined || !/^(?:0|[1-9]\d{0,38})$/.test(epoch)) return null
  return { zoneId, epoch }
}

/** The session whose running streams a lifecycle entry stops, if it does. */
export const suspendedSession = (fields: Fields): string | null =>
  fields.event === 'suspend' && fields.agent_session_id ? fields.agent_session_id : null

/** Seconds since an entry was published, as far as it carries a time; `null` when it carries none. */
export function propagationSeconds(
  { id, fields }: Pick<StreamEntry, 'id' | 'fields'>,
  now: number = Date.now(),
): number | null {
  const seconds = (now - (timeOfId(id) ?? timeOfUuid(fields.outbox_id ?? '') ?? Number.NaN)) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

/** Only under Redis: positions of the Postgres bus are counts, and would read as the first days of 1970. */
function timeOfId(id: string): number | null {
  const ms = Number(id.split('-')[0])
  return ms > earliestMs ? ms : null
}

const earliestMs = Date.UTC(2020)

/** When the row of the outbox was written that the entry was published from. */
function timeOfUuid(id: string): number | null {
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(id) ?? []
  return high === undefined ? null : Number.parseInt(`${high}${low}`, 16)
}
