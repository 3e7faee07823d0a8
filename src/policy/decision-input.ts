/**
 * The input document of a decision, sts §6.1. Members keep their wire names
 * because policies read them as `input.<path>`. Optional members are omitted,
 * never null: a member that is present counts as present, whatever it holds.
 */
export interface DecisionInput {
  /** Must equal `POLICY_SCHEMA_VERSION`; anything else is an evaluation error. */
  readonly schema_version: string
  readonly principal: PolicyPrincipal
  readonly resource: PolicyResource
  readonly action: PolicyAction
  /** The effective authority record. */
  readonly session?: { readonly id: string } | undefined
  readonly delegation_edge?: PolicyDelegationEdge | undefined
  readonly context: PolicyContext
}

export interface PolicyPrincipal {
  readonly type: 'Application' | 'Workload'
  readonly id: string
  readonly zone_id: string
  readonly registration_method?: 'managed' | 'dcr' | undefined
  readonly agent_session_id?: string | undefined
  readonly lifecycle?: 'task' | 'service' | undefined
  /** Labels given to the session at spawn; the keys of `roles`. */
  readonly labels?: readonly string[] | undefined
}

export interface PolicyResource {
  readonly type: 'Resource'
  readonly id: string
  readonly identifier: string
  readonly scopes: readonly string[]
}

export interface PolicyAction {
  readonly id: 'TokenExchange' | 'CredentialInjection'
  readonly method?: string | undefined
  readonly path?: string | undefined
}

export interface PolicyDelegationEdge {
  readonly id: string
  readonly source_session_id: string
  readonly target_session_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  /** Omitted for an edge that is not bound to one resource. */
  readonly resource_id?: string | undefined
  readonly scopes: readonly string[]
  readonly edge_version: number
  readonly path: readonly string[]
  readonly graph_epoch: number
  readonly constraints_json: Readonly<Record<string, unknown>>
}

export interface PolicyContext {
  readonly actor_claims: { readonly caracal_client_id: string }
  /** Every claim of the presented subject token; omitted without one. */
  readonly subject_claims?: Readonly<Record<string, unknown>> | undefined
  readonly trace_id: string
  readonly session_id?: string | undefined
  readonly agent_session_id?: string | undefined
  readonly delegation_edge_id?: string | undefined
  readonly challenge_resolved: boolean
  /** As requested: order and duplicates kept, `[]` when none. */
  readonly requested_scopes: readonly string[]
}
