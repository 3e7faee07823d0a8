/**
 * The decision input of an exchange (sts §6.1): absent members are undefined, which a policy sees as absent, never
 * null. Literals without spreads, because what is put together from parts costs ten times as much.
 */
import { type DecisionInput, POLICY_SCHEMA_VERSION } from '../../policy/index.ts'
import type { ResourceDefinition } from './definitions.ts'
import type { Delegation, Exchange } from './exchange-state.ts'

export function exchangeInput(x: Exchange, resource: ResourceDefinition): DecisionInput {
  const { request, session, delegation } = x
  return {
    schema_version: POLICY_SCHEMA_VERSION,
    principal: {
      type: 'Application',
      id: x.application.id,
      zone_id: x.zoneId,
      registration_method: x.application.registrationMethod,
      agent_session_id: session?.id,
      lifecycle: session?.lifecycle,
      labels: session === null || session.labels.length === 0 ? undefined : session.labels,
    },
    resource: {
      type: 'Resource',
      id: resource.id,
      identifier: resource.identifier,
      scopes: resource.scopes,
    },
    action: {
      id: 'TokenExchange',
      method: request.gateway?.method,
      path: request.gateway?.path,
    },
    session: x.recordId === null ? undefined : { id: x.recordId },
    delegation_edge: delegation === null ? undefined : edgeInput(delegation),
    context: {
      actor_claims: { caracal_client_id: x.application.id },
      subject_claims: x.presented?.claims,
      trace_id: request.requestId,
      session_id: x.recordId ?? undefined,
      agent_session_id: x.agentSessionId ?? undefined,
      delegation_edge_id: x.delegationEdgeId ?? undefined,
      challenge_resolved: x.approval !== null,
      requested_scopes: request.requestedScopes,
    },
  }
}

function edgeInput(delegation: Delegation): NonNullable<DecisionInput['delegation_edge']> {
  const { leaf } = delegation
  return {
    id: leaf.id,
    source_session_id: leaf.source_session_id,
    target_session_id: leaf.target_session_id,
    issuer_application_id: leaf.issuer_application_id,
    receiver_application_id: leaf.receiver_application_id,
    resource_id: leaf.resource_id ?? undefined,
    scopes: leaf.scopes,
    edge_version: leaf.edge_version,
    path: delegation.lineage.map((edge) => edge.id),
    graph_epoch: delegation.epoch,
    constraints_json: leaf.constraints_json as Readonly<Record<string, unknown>>,
  }
}
