/** Inputs of the policy decision as the STS makes them (sts §6.1), for requests that are only tried. */

/** What an agent does on its way to a resource, each its own row of the decision table (sts §6.4). */
export type Attempt = 'start' | 'mint' | 'use'

export interface Tried {
  readonly attempt: Attempt
  readonly zoneId: string
  readonly applicationId: string
  readonly labels: readonly string[]
  readonly resource: { readonly id: string; readonly identifier: string; readonly scopes: readonly string[] }
  readonly scopes: readonly string[]
}

/** Stands for the session and the delegation that the request would come from. */
const stand = 'dry-run'

export function decisionInput({ attempt, zoneId, applicationId, labels, resource, scopes }: Tried) {
  const inSession = attempt !== 'start'
  return {
    schema_version: '2026-05-20',
    principal: {
      type: 'Application',
      id: applicationId,
      zone_id: zoneId,
      registration_method: 'managed',
      ...(inSession ? { agent_session_id: stand, lifecycle: 'task', labels } : {}),
    },
    resource: { type: 'Resource', ...resource },
    action: { id: 'TokenExchange' },
    ...(attempt === 'mint' ? { delegation_edge: { id: stand, scopes } } : {}),
    context: {
      actor_claims: { caracal_client_id: applicationId },
      challenge_resolved: false,
      requested_scopes: requested(attempt, scopes),
      ...(inSession ? { agent_session_id: stand, delegation_edge_id: stand } : {}),
      ...(attempt === 'use'
        ? {
            subject_claims: {
              delegation_edge_id: stand,
              scope: scopes.join(' '),
              target: [resource.identifier],
            },
          }
        : {}),
    },
  }
}

function requested(attempt: Attempt, scopes: readonly string[]): readonly string[] {
  if (attempt === 'start') return ['agent:lifecycle']
  return attempt === 'mint' ? scopes : []
}
