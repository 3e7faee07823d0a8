/**
 * The policy input of a decision, rebuilt from its evidence before redaction (control-api §7.18): with the policies of
 * that moment it is decided alike. What no evidence holds is left out: the path of a call, the constraints of a
 * delegation, claims that are no part of a mandate's authority.
 */
import { POLICY_SCHEMA_VERSION } from '../../policy/index.ts'

export type Metadata = Readonly<Record<string, unknown>>

interface Hop {
  readonly application_id?: unknown
  readonly agent_session_id?: unknown
  readonly delegation_edge_id?: unknown
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

const texts = (value: unknown): string[] => {
  if (Array.isArray(value)) return value.filter((entry): entry is string => typeof entry === 'string')
  if (typeof value === 'string') return value.split(' ').filter((entry) => entry !== '')
  return []
}

/** Members with an undefined value are left out: presence means something to a policy. */
function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

export function policyInputOf(zoneId: string, metadata: Metadata): Record<string, unknown> {
  const sessionId = text(metadata.session_id)
  const scopes = texts(metadata.requested_scopes)
  const principal = principalOf(zoneId, metadata)
  return present({
    schema_version: POLICY_SCHEMA_VERSION,
    principal,
    resource: { type: 'Resource', identifier: text(metadata.resource) ?? '', scopes },
    action: present({
      id: principal.type === 'Workload' ? 'CredentialInjection' : 'TokenExchange',
      method: text(metadata.method),
    }),
    context: present({
      actor_claims: principal.id === '' ? {} : { caracal_client_id: principal.id },
      subject_claims: subjectClaimsOf(metadata),
      requested_scopes: scopes,
      challenge_resolved: false,
      session_id: sessionId,
      agent_session_id: text(metadata.agent_session_id),
      delegation_edge_id: text(metadata.delegation_edge_id),
    }),
    session: sessionId === undefined ? undefined : { id: sessionId },
    delegation_edge: edgeOf(metadata),
  })
}

function principalOf(zoneId: string, metadata: Metadata): Record<string, unknown> {
  const workloadId = text(metadata.workload_id)
  if (workloadId !== undefined) return { type: 'Workload', id: workloadId, zone_id: zoneId }
  return present({
    type: 'Application',
    id: text(metadata.application_id) ?? '',
    zone_id: zoneId,
    registration_method: text(metadata.application_registration_method),
    agent_session_id: text(metadata.agent_session_id),
    lifecycle: text(metadata.agent_lifecycle),
    labels: metadata.agent_labels === undefined ? undefined : texts(metadata.agent_labels),
  })
}

/** A mandate is spent by a gateway, which names its method; any other token carries no authority of its own. */
function subjectClaimsOf(metadata: Metadata): Record<string, unknown> | undefined {
  if (metadata.presented_scopes === undefined) return undefined
  const claims = {
    scope: texts(metadata.presented_scopes).join(' '),
    client_id: text(metadata.application_id),
    sub_type: text(metadata.subject_kind),
  }
  if (text(metadata.method) === undefined) return present(claims)
  return present({
    ...claims,
    target: [text(metadata.resource) ?? ''],
    agent_session_id: text(metadata.agent_session_id),
    delegation_edge_id: text(metadata.delegation_edge_id),
    delegation_chain: metadata.delegation_chain,
    delegation_graph_epoch: metadata.delegation_graph_epoch,
    hop_count: metadata.delegation_hop_count,
  })
}

/** The chain leads from the first session to the one that asks; the delegation in use is its last step. */
function edgeOf(metadata: Metadata): Record<string, unknown> | undefined {
  const id = text(metadata.delegation_edge_id)
  if (id === undefined) return undefined
  const chain: readonly Hop[] = Array.isArray(metadata.delegation_chain) ? metadata.delegation_chain : []
  const [source, target] = chain.slice(-2)
  return present({
    id,
    source_session_id: text(source?.agent_session_id),
    target_session_id: text(target?.agent_session_id),
    issuer_application_id: text(source?.application_id),
    receiver_application_id: text(target?.application_id),
    scopes: metadata.delegation_scopes === undefined ? undefined : texts(metadata.delegation_scopes),
    path: chain.length === 0 ? undefined : chain.flatMap((hop) => text(hop.delegation_edge_id) ?? []),
    graph_epoch: metadata.delegation_graph_epoch,
  })
}
