/** What entries of the bus say to the gateway (gateway §8.3, audit-and-events §9.2). */
import type { Fields } from '../../../platform/bus/port.ts'
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

/** Seconds since an entry was published by its id's millisecond part; `null` when the id carries no time. */
export function propagationSeconds(entryId: string, now: number = Date.now()): number | null {
  const published = Number(entryId.split('-')[0])
  const seconds = (now - published) / 1000
  // Positions of the Postgres bus that are not times would read as decades.
  return Number.isFinite(seconds) && seconds < 30 * 24 * 3600 ? Math.max(0, seconds) : null
}
