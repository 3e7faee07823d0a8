/** Who is asking, and what the scopes of coordinator §2.5 let them do. Pure. */
import type { RecordWithin } from '../../platform/admin-audit/gate.ts'

export interface Caller {
  readonly zoneId: string
  readonly subject: string
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
  /** `sid` of the mandate; the operator token has none. */
  readonly authorityRecordId: string | null
  /** Holds the static operator token: a person, or a server that speaks for one. */
  readonly operator: boolean
}

/** Who asks, and under which request id. */
export interface Asked {
  readonly requestId: string
  readonly caller: Caller
}

/** A change that carries its administrative record in its own transaction. */
export interface Recorded extends Asked {
  readonly record: RecordWithin
}

const admin = 'coordinator.admin'
const spawnFor = 'coordinator.spawn_for:'

export const isAdmin = (caller: Caller): boolean => caller.scopes.has(admin)

const ownsOr = (caller: Caller, applicationId: string, grant: string): boolean =>
  caller.clientId === applicationId || caller.scopes.has(`${grant}:${applicationId}`)

/** Start sessions and register services in an application's name; admin alone is not enough. */
export const maySpawnFor = (caller: Caller, applicationId: string): boolean =>
  ownsOr(caller, applicationId, 'coordinator.spawn_for')

/** Suspend, resume, terminate, heartbeat, lease. */
export const mayManage = (caller: Caller, applicationId: string): boolean =>
  isAdmin(caller) || maySpawnFor(caller, applicationId)

/** The applications whose sessions `mayManage` allows; null = all of them. */
export function managedBy(caller: Caller): readonly string[] | null {
  if (isAdmin(caller)) return null
  const named = [...caller.scopes].filter((scope) => scope.startsWith(spawnFor))
  return [caller.clientId, ...named.map((scope) => scope.slice(spawnFor.length))]
}

export const maySpawnUnder = (caller: Caller, parentApplicationId: string): boolean =>
  ownsOr(caller, parentApplicationId, 'coordinator.spawn_under')

export const mayDelegateFrom = (caller: Caller, issuerApplicationId: string): boolean =>
  ownsOr(caller, issuerApplicationId, 'coordinator.delegate_from')

/** Enqueue from the application, or start, cancel and complete what its services are asked. */
export const mayInvokeFor = (caller: Caller, applicationId: string): boolean =>
  isAdmin(caller) || ownsOr(caller, applicationId, 'coordinator.invoke_from')

/** A delegation that names no resource needs a scope of its own. */
export const mayDelegateBroadly = (caller: Caller, issuerApplicationId: string): boolean =>
  isAdmin(caller) ||
  caller.scopes.has('coordinator.delegate_broad') ||
  caller.scopes.has(`coordinator.delegate_broad:${issuerApplicationId}`)
