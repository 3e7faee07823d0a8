/**
 * The kill switch (control-api §7.15): everything a subject holds in the zone ends in one
 * transaction, records first, so that whatever fails later leaves less authority, not
 * more. Calling it again changes nothing.
 */
import { appendAdminAction } from '../../platform/admin-audit/append.ts'
import type { Tx } from '../../platform/db/port.ts'
import { lockAuthority } from '../../platform/db/zone-locks.ts'
import { endSessions } from '../coordinator/index.ts'
import { type Control, writing } from './control.ts'
import { singleLine } from './events.ts'
import { actorOf, reachOf } from './ledger.ts'
import { notFound } from './not-found.ts'
import type { Call } from './route.ts'
import {
  liveSessionsOf,
  revokeConnectionsOf,
  revokeRecordsOf,
  subjectSeen,
  type Withdrawal,
} from './store/authority.ts'

export interface WithdrawnCounts {
  readonly authority_records: number
  readonly sessions: number
  readonly delegations: number
}

/** Revokes records, ends sessions and their delegations, and enqueues the events. The caller holds `lockAuthority`. */
export async function withdraw(
  control: Control,
  tx: Tx,
  withdrawal: Withdrawal,
  requestId: string,
): Promise<WithdrawnCounts> {
  const { zoneId } = withdrawal
  const reason = singleLine(withdrawal.reason)
  const records = await revokeRecordsOf(tx, { ...withdrawal, reason })
  const roots = await liveSessionsOf(tx, withdrawal, records)
  const ended = await endSessions(control, tx, { zoneId, requestId }, roots, reason)
  await control.outbox.enqueue(
    tx,
    'control',
    records.map((id) => ({
      topic: 'caracal.sessions.revoke',
      payload: { zone_id: zoneId, session_id: id, reason },
      requestId,
    })),
  )
  return {
    authority_records: records.length,
    sessions: ended.sessions.length,
    delegations: ended.edges.length,
  }
}

/** The explicit row of the ledger: what the one request took away. */
export async function recordWithdrawal(
  control: Control,
  call: Call<unknown, unknown>,
  tx: Tx,
  row: {
    readonly action: string
    readonly method: string
    readonly path: string
    readonly entityType: string
    readonly entityId: string
    readonly facts: Readonly<Record<string, unknown>>
  },
): Promise<void> {
  const { principal } = call
  await appendAdminAction(tx, control.keys.audit, {
    requestId: call.requestId,
    actor: actorOf(principal),
    action: row.action,
    method: row.method,
    path: row.path,
    zoneId: call.zoneId,
    entityType: row.entityType,
    entityId: row.entityId,
    statusCode: 200,
    payload: { ...reachOf(principal), ...row.facts },
  })
}

interface RevocationRequest {
  readonly subject_id: string
  readonly reason: string
  /** Counts what would go and changes nothing. */
  readonly dry_run: boolean
}

type Revocation = { readonly subject_id: string; readonly connections: number } & WithdrawnCounts

/** Undoes the transaction of a dry run and carries its counts out. */
class Rehearsed extends Error {
  override readonly name = 'Rehearsed'
  readonly revocation: Revocation
  constructor(revocation: Revocation) {
    super('a dry run')
    this.revocation = revocation
  }
}

/**
 * Throws 404 `subject_not_found` for a subject the zone never saw. A dry run is the real one, undone,
 * so its counts cannot differ from it.
 */
export async function revokeSubject(
  control: Control,
  call: Call<unknown, unknown>,
  request: RevocationRequest,
): Promise<Revocation> {
  try {
    return await revokeOrRehearse(control, call, request)
  } catch (error) {
    if (error instanceof Rehearsed) return error.revocation
    throw error
  }
}

function revokeOrRehearse(
  control: Control,
  call: Call<unknown, unknown>,
  request: RevocationRequest,
): Promise<Revocation> {
  return writing(control, call, async (tx) => {
    if (!(await subjectSeen(tx, call.zoneId, request.subject_id))) throw notFound('subject_not_found')
    await lockAuthority(tx, call.zoneId)
    const withdrawn = await withdraw(
      control,
      tx,
      { zoneId: call.zoneId, subjects: [request.subject_id], type: null, reason: request.reason },
      call.requestId,
    )
    const connections = await revokeConnectionsOf(tx, call.zoneId, request.subject_id)
    const counts = { ...withdrawn, connections }
    if (request.dry_run) throw new Rehearsed({ subject_id: request.subject_id, ...counts })
    await recordWithdrawal(control, call, tx, {
      action: 'Subject authority revoked',
      method: 'POST',
      path: `/v1/zones/${call.zoneId}/subjects/revoke`,
      entityType: 'subjects',
      entityId: request.subject_id,
      facts: { reason: request.reason, ...counts },
    })
    return { subject_id: request.subject_id, ...counts }
  })
}
