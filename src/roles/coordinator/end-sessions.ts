/**
 * The one way sessions end (coordinator §4.7): the roots, everything live below them, every
 * active edge that touches them, the epoch, the events. Terminate, sweeps, delegation
 * revocation and the subject kill switch all come here, each inside its own transaction with
 * the zone's spawn lock and graph lock held.
 */
import type { Tx } from '../../platform/db/port.ts'
import type { Platform } from '../../platform/platform.ts'
import { edgesRevoked, ended, type Origin, recorded } from './events.ts'
import {
  type EndedSession,
  endSubtrees,
  type RevokedEdge,
  releaseChildSlots,
  revokeEdgesOf,
} from './store/cascade.ts'
import { raiseEpoch } from './store/epochs.ts'

/** The platform's part of ending sessions; any role that ends them brings its own. */
export type EndDeps = Pick<Platform, 'outbox' | 'keys'>

export interface EndedTree {
  readonly sessions: readonly EndedSession[]
  readonly edges: readonly RevokedEdge[]
}

/** Ends `roots` and what hangs on them; empty when nothing was live. */
export async function endSessions(
  deps: EndDeps,
  tx: Tx,
  origin: Origin,
  roots: readonly string[],
  reason: string,
): Promise<EndedTree> {
  const sessions = await endSubtrees(tx, origin.zoneId, roots, reason)
  if (sessions.length === 0) return { sessions, edges: [] }
  await releaseChildSlots(tx, origin.zoneId, sessions)
  const edges = await revokeEdgesOf(
    tx,
    origin.zoneId,
    sessions.map((session) => session.id),
  )
  const epoch = edges.length === 0 ? 0 : await raiseEpoch(tx, origin.zoneId)
  await deps.outbox.enqueue(tx, 'coordinator', [
    ...sessions.flatMap((session) => [
      ...ended(origin, session),
      recorded(deps.keys.audit, origin, 'session_terminate', {
        application_id: session.application_id,
        agent_session_id: session.id,
        session_id: session.session_sid,
        reason: session.termination_reason,
        agent_labels: session.labels,
      }),
    ]),
    ...edgesRevoked(origin, edges, sessions, epoch, { reason: 'session_terminated' }),
  ])
  return { sessions, edges }
}
