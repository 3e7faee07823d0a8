import { type Caller, isAdmin } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { effectiveAuthority } from './effective-authority.ts'
import { refuse } from './refusal.ts'
import { liveInbound } from './store/edges.ts'
import { resourceIdentifiers } from './store/references.ts'
import { findSession } from './store/sessions.ts'

/** `GET …/agents/:id/effective-authority`. Another application's session does not exist for the caller. */
export async function sessionAuthority(
  { db }: Pick<CoordinatorContext, 'db'>,
  caller: Caller,
  sessionId: string,
): Promise<Record<string, unknown>> {
  const session = await findSession(db, caller.zoneId, sessionId)
  if (session === null || !(isAdmin(caller) || session.application_id === caller.clientId)) {
    throw refuse('session_not_found')
  }
  const edges = await liveInbound(db, caller.zoneId, sessionId)
  const ids = edges.flatMap((edge) => edge.resource_id ?? [])
  const identifiers = await resourceIdentifiers(db, caller.zoneId, ids)
  return effectiveAuthority(
    sessionId,
    edges.map((edge) => ({
      id: edge.id,
      scopes: edge.scopes,
      resourceId: edge.resource_id,
      resourceIdentifier: identifiers.get(edge.resource_id ?? '') ?? null,
      constraints: edge.constraints_json,
      expiresAt: edge.expires_at,
    })),
  )
}
