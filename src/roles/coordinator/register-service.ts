/** Agent services: where an application's agents can be reached, and how they are (coordinator §6). */
import { isUniqueViolation } from '../../platform/db/unavailable.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Asked, isAdmin, maySpawnFor } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { refuse } from './refusal.ts'
import { serviceView } from './service-view.ts'
import { heartbeat } from './session-lease.ts'
import { findApplication } from './store/references.ts'
import {
  beatService,
  type ServiceChange,
  type ServiceDescription,
  type ServiceHealth,
  type ServiceRow,
  updateService,
  upsertService,
} from './store/services.ts'
import { findSession, type SessionRow, touchSession } from './store/sessions.ts'

/** v1's form: any application of the caller. Registering again describes the same service anew. */
export async function registerService(
  { db }: CoordinatorContext,
  { caller, applicationId, ...described }: Asked & ServiceDescription & { readonly applicationId: string },
): Promise<ServiceRow> {
  if (!maySpawnFor(caller, applicationId)) throw refuse('application_ownership_required')
  const application = await findApplication(db, caller.zoneId, applicationId)
  if (application === null) throw refuse('application_not_found')
  return upsertService(db, {
    ...described,
    id: uuidv7(),
    zoneId: caller.zoneId,
    applicationId,
    sessionId: null,
    health: null,
  })
}

interface OfAgent extends Asked {
  readonly agentId: string
}

/** The seed's form: the application is the agent's. Answers null when `applicationId` says otherwise. */
export async function registerForAgent(
  { db }: CoordinatorContext,
  request: OfAgent &
    ServiceDescription & { readonly applicationId: string | null; readonly health: ServiceHealth | null },
): Promise<ServiceRow | null> {
  const { caller, agentId, applicationId, ...described } = request
  const agent = await findOwnAgent({ db }, request)
  if (agent.status !== 'active') throw refuse('session_not_live')
  if (applicationId !== null && applicationId !== agent.application_id) return null
  return upsertService(db, {
    ...described,
    id: uuidv7(),
    zoneId: caller.zoneId,
    applicationId: agent.application_id,
    sessionId: agentId,
  })
}

/** Throws 409 `agent_service_conflict` when another service of the application has the endpoint. */
export async function changeService(
  deps: CoordinatorContext,
  request: OfAgent & {
    readonly serviceId: string
    readonly change: Omit<ServiceChange, 'zoneId' | 'applicationId' | 'id'>
  },
): Promise<ServiceRow> {
  const agent = await findOwnAgent(deps, request)
  const changed = await updateService(deps.db, {
    ...request.change,
    zoneId: request.caller.zoneId,
    applicationId: agent.application_id,
    id: request.serviceId,
  }).catch((error: unknown) => {
    throw isUniqueViolation(error) ? refuse('agent_service_conflict') : error
  })
  if (changed === null) throw refuse('agent_service_not_found')
  return changed
}

/** Reports health; renews the agent's lease only when a generation is given, under all its checks. */
export async function serviceHeartbeat(
  deps: CoordinatorContext,
  request: OfAgent & {
    readonly serviceId: string
    readonly health: ServiceHealth
    readonly metadata: Readonly<Record<string, unknown>>
    readonly leaseGeneration: number | null
  },
): Promise<Record<string, unknown>> {
  const { agentId, leaseGeneration } = request
  if (leaseGeneration !== null) {
    const beaten = await heartbeat(deps, { ...request, sessionId: agentId, leaseGeneration })
    if (beaten.service === null) throw refuse('agent_service_not_found')
    return beaten.service
  }
  const agent = await findOwnAgent(deps, request)
  if (agent.status !== 'active' && agent.status !== 'suspended') throw refuse('session_not_live')
  const { zoneId } = request.caller
  return deps.db.transaction(async (tx) => {
    // The session's row first, as every heartbeat of a session locks the two.
    const [, service] = await Promise.all([
      touchSession(tx, zoneId, agentId),
      beatService(tx, {
        zoneId,
        applicationId: agent.application_id,
        id: request.serviceId,
        health: request.health,
        metadata: request.metadata,
      }),
    ])
    if (service === null) throw refuse('agent_service_not_found')
    return serviceView(service)
  })
}

async function findOwnAgent(
  { db }: Pick<CoordinatorContext, 'db'>,
  { caller, agentId }: OfAgent,
): Promise<SessionRow> {
  const agent = await findSession(db, caller.zoneId, agentId)
  if (agent === null) throw refuse('session_not_found')
  if (!isAdmin(caller) && !maySpawnFor(caller, agent.application_id)) {
    throw refuse('application_ownership_required')
  }
  return agent
}
