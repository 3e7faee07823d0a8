/**
 * The lease of a service session (coordinator §4.8): taken over with a new generation, renewed by
 * heartbeats that carry the current one. A dead subject ends the session and a missed lease
 * suspends it; both are committed before the caller hears of them.
 */

import type { Tx } from '../../platform/db/port.ts'
import { lockAuthority, lockSpawn } from '../../platform/db/zone-locks.ts'
import { type Asked, type Caller, mayManage } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { endSessions } from './end-sessions.ts'
import { refuse } from './refusal.ts'
import { serviceView } from './service-view.ts'
import { iso } from './session-view.ts'
import { type LeaseFacts, type LeaseRow, readLeaseFacts, renewLease } from './store/leases.ts'
import { beatService, type ServiceHealth, type ServiceRow } from './store/services.ts'
import { suspendLapsed } from './suspend-session.ts'

export interface LeaseRequest extends Asked {
  readonly sessionId: string
}

export interface HeartbeatRequest extends LeaseRequest {
  readonly leaseGeneration: number
  readonly health: ServiceHealth
  readonly serviceId: string | null
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What must be committed before the refusal it leads to is answered. */
type Lapse = 'session_subject_inactive' | 'session_lease_expired'

/** Takes the lease over: whoever held it before is fenced off. */
export async function acquireLease(
  deps: CoordinatorContext,
  request: LeaseRequest,
): Promise<Record<string, unknown>> {
  const row = await underLease(deps, request, async (tx, facts) => {
    if (facts.lifecycle !== 'service') throw refuse('session_not_service')
    if (facts.status === 'suspended') throw refuse('session_suspended')
    if (facts.status !== 'active') throw refuse('session_not_live')
    if (facts.subject_inactive) return 'session_subject_inactive'
    if (facts.lease_expired) return 'session_lease_expired'
    checkHolder(request.caller, facts)
    return (await renewed(deps, tx, request, facts.lease_generation, 1)) ?? 'session_lease_expired'
  })
  return {
    status: row.status,
    heartbeat_deadline_at: iso(row.heartbeat_deadline_at),
    lease_generation: Number(row.lease_generation),
  }
}

/** Renews the lease; a suspended session keeps its status. With a service, reports its health too. */
export async function heartbeat(
  deps: CoordinatorContext,
  request: HeartbeatRequest,
): Promise<{ readonly agent: Record<string, unknown>; readonly service: Record<string, unknown> | null }> {
  const { row, service } = await underLease(deps, request, async (tx, facts) => {
    if (facts.status !== 'active' && facts.status !== 'suspended') throw refuse('session_not_live')
    if (facts.lifecycle !== 'service') throw refuse('session_not_service')
    if (facts.subject_inactive) return 'session_subject_inactive'
    const generation = String(request.leaseGeneration)
    if (facts.lease_generation !== generation) throw refuse('session_lease_fenced')
    if (facts.status === 'active' && facts.lease_expired) return 'session_lease_expired'
    checkHolder(request.caller, facts)
    const row = await renewed(deps, tx, request, generation, 0)
    if (row === null) throw refuse('session_lease_fenced')
    return { row, service: await beaten(tx, request, facts.application_id) }
  })
  return { agent: agentView(row), service: service === null ? null : serviceView(service) }
}

async function underLease<T extends object>(
  deps: CoordinatorContext,
  request: LeaseRequest,
  decide: (tx: Tx, facts: LeaseFacts) => Promise<T | Lapse>,
): Promise<T> {
  const { caller, sessionId } = request
  const outcome = await deps.db.transaction(async (tx) => {
    const facts = await readLeaseFacts(tx, caller.zoneId, sessionId, caller.authorityRecordId)
    if (facts === null) throw refuse('session_not_found')
    if (!mayManage(caller, facts.application_id)) throw refuse('application_ownership_required')
    return decide(tx, facts)
  })
  if (typeof outcome !== 'string') return outcome
  await settle(deps, request, outcome)
  throw refuse(outcome)
}

/** A transaction of its own: the zone's locks come before the rows that were read above. */
async function settle(deps: CoordinatorContext, request: LeaseRequest, lapse: Lapse): Promise<void> {
  const { caller, sessionId, requestId } = request
  const origin = { zoneId: caller.zoneId, requestId }
  await deps.outbox.transaction(deps.db, async (tx) => {
    if (lapse === 'session_subject_inactive') {
      await lockAuthority(tx, caller.zoneId)
      await endSessions(deps, tx, origin, [sessionId], 'subject_authority_inactive')
    } else {
      await lockSpawn(tx, caller.zoneId)
      await suspendLapsed(deps, tx, origin, 1, sessionId)
    }
  })
}

function checkHolder(caller: Caller, facts: LeaseFacts): void {
  if (caller.authorityRecordId === null) throw refuse('authority_record_required')
  if (!facts.holder_live) throw refuse('identity_revoked')
}

const renewed = (
  deps: CoordinatorContext,
  tx: Tx,
  { caller, sessionId }: LeaseRequest,
  generation: string,
  raise: 0 | 1,
): Promise<LeaseRow | null> =>
  renewLease(tx, {
    zoneId: caller.zoneId,
    sessionId,
    generation,
    raise,
    leaseSeconds: deps.settings.SERVICE_AGENT_LEASE_SECONDS,
  })

async function beaten(tx: Tx, request: HeartbeatRequest, applicationId: string): Promise<ServiceRow | null> {
  if (request.serviceId === null) return null
  const service = await beatService(tx, {
    zoneId: request.caller.zoneId,
    applicationId,
    id: request.serviceId,
    health: request.health,
    metadata: request.metadata,
  })
  // Thrown inside the transaction: the renewal is rolled back with it.
  if (service === null) throw refuse('agent_service_not_found')
  return service
}

const agentView = (row: LeaseRow): Record<string, unknown> => ({
  id: row.id,
  zone_id: row.zone_id,
  application_id: row.application_id,
  status: row.status,
  last_active_at: iso(row.last_active_at),
  last_heartbeat_at: iso(row.last_heartbeat_at),
  heartbeat_deadline_at: iso(row.heartbeat_deadline_at),
  lease_generation: Number(row.lease_generation),
})
