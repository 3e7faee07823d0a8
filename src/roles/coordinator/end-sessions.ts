/**
 * The way sessions of a zone end (coordinator §4.7): the roots, everything live below them, every
 * active edge that touches them, the epoch, the events. Sweeps, delegation revocation and the subject
 * kill switch come here, each inside its own transaction with the zone's spawn lock and graph lock held;
 * what callers terminate ends with other changes (`change-sessions.ts`).
 */
import type { Tx } from '../../platform/db/port.ts'
import type { Platform } from '../../platform/platform.ts'
import { edgesRevoked, ended, type Origin } from './events.ts'
import { type EndedTree, endSubtrees, type RevokedEdge } from './store/cascade.ts'
import { raiseEpoch } from './store/epochs.ts'

/** The platform's part of ending sessions; any role that ends them brings its own. */
type EndDeps = Pick<Platform, 'outbox' | 'keys'>

/**
 * Ends `roots` and what hangs on them; empty when nothing was live. `revoked` are edges this
 * transaction revoked already: they are announced with the others, under one raise of the epoch.
 */
export async function endSessions(
  deps: EndDeps,
  tx: Tx,
  origin: Origin,
  roots: readonly string[],
  reason: string,
  revoked: readonly RevokedEdge[] = [],
): Promise<EndedTree> {
  const { sessions, edges: cut } = await endSubtrees(tx, origin.zoneId, roots, reason)
  const edges = [...revoked, ...cut]
  const epoch = edges.length === 0 ? 0 : await raiseEpoch(tx, origin.zoneId)
  const why = revoked.length === 0 ? { reason: 'session_terminated' } : { affected_edges: edges.length }
  await deps.outbox.enqueue(tx, 'coordinator', [
    ...sessions.flatMap((session) => ended(deps.keys.audit, origin, session)),
    ...edgesRevoked(deps.keys.audit, origin, edges, { ended: sessions, epoch, why }),
  ])
  return { sessions, edges }
}
