/**
 * The fixed decision function (sts §6.3, §6.4): rows in their order, first match
 * wins, anything that matches no row is denied. One decision on literal
 * documents is a handful of map lookups and returns a shared object unless the
 * mint carries diagnostics.
 */
import type { PolicyBundle } from './bundle.ts'
import { POLICY_SCHEMA_VERSION } from './contract.ts'
import type { ApprovalTier, CompleteDecision, Decision, Diagnostic, RiskedScope } from './decision.ts'
import type { DecisionInput } from './decision-input.ts'
import { allow, allowWith, deny, failed } from './outcome.ts'
import { RegoEvaluationError } from './rego/failure.ts'
import { compareStrings } from './rego/value.ts'
import { type Grant, isRecord, type RiskTable, type Tables, type TierTable } from './tables.ts'

const LIFECYCLE_SCOPE = 'agent:lifecycle'

const workloadMint = allow('caracal-workload-mint')

export interface DecideOptions {
  /** Monotonic milliseconds. With it an evaluation also stops after 50 ms; without it only the step budget holds. */
  readonly now?: () => number
}

const noOptions: DecideOptions = Object.freeze({})

/**
 * Decides one request. Never throws: whatever goes wrong while evaluating is a
 * `FailedDecision`, which grants nothing.
 */
export function decide(
  bundle: PolicyBundle,
  input: DecisionInput,
  options: DecideOptions = noOptions,
): Decision {
  if (bundle.tables === null) return deny('no_active_policy_set')
  try {
    if (input.schema_version !== POLICY_SCHEMA_VERSION) {
      return failed(`unsupported_schema_version:${String(input.schema_version)}`)
    }
    return decideWith(bundle.tables(input, options), input)
  } catch (error) {
    return failed(error instanceof RegoEvaluationError ? error.message : 'the input is malformed')
  }
}

function decideWith(tables: Tables, input: DecisionInput): Decision {
  if (!Array.isArray(input.context.requested_scopes)) {
    return failed('input.context.requested_scopes must be an array')
  }
  if (tables.restricted()) return deny('restriction_active')
  if (isWorkload(input)) return decideWorkload(tables, input)
  if (isBootstrap(input)) return decideBootstrap(tables, input)
  if (isDelegated(input)) return decideDelegated(tables, input)
  return decideMandate(tables, input)
}

/** Rows 2 and 2b: an application asks for its own session mandate. */
function decideBootstrap(tables: Tables, input: DecisionInput): Decision {
  return ownedGrant(tables, input) === undefined ? deny('no_rule_matched') : bootstrapAllow
}

const bootstrapAllow = allow('caracal-bootstrap')

/** Rows 3–9: a session mints under a delegation. */
function decideDelegated(tables: Tables, input: DecisionInput): Decision {
  const risk = tables.risk()
  if (risk === 'malformed') return deny('malformed_risk_data')
  const tiers = tables.tiers()
  if (tiers === 'malformed') return deny('malformed_approval_data')
  const grant = ownedGrant(tables, input)
  if (grant === undefined) return deny('resource_not_granted')
  const requested = input.context.requested_scopes
  if (!isNarrowed(requested, input.delegation_edge?.scopes)) return deny('delegation_scope_exceeded')
  if (!isConfined(tables, input.principal.labels, requested)) return deny('confinement_violation')
  if (!roleHolds(grant, input.principal.labels, requested)) return deny('role_scope_mismatch')
  return withMintDiagnostics(grant.mint, requested, risk, tiers)
}

/** Rows 10 and 11: a credential for `caracal run`; resource and scopes come from the binding. */
function decideWorkload(tables: Tables, input: DecisionInput): Decision {
  const risk = tables.risk()
  if (risk === 'malformed') return deny('malformed_risk_data')
  const tiers = tables.tiers()
  if (tiers === 'malformed') return deny('malformed_approval_data')
  return withMintDiagnostics(workloadMint, input.context.requested_scopes, risk, tiers)
}

/** Rows 12–16: the gateway presents a mandate that was minted before. */
function decideMandate(tables: Tables, input: DecisionInput): Decision {
  const claims = input.context.subject_claims
  if (!isRecord(claims) || input.context.requested_scopes.length > 0) return deny('no_rule_matched')
  const edgeId = claims.delegation_edge_id
  const presented =
    typeof claims.scope === 'string' ? claims.scope.split(' ').filter((token) => token !== '') : []
  if (typeof edgeId !== 'string' || edgeId === '' || presented.length === 0) return deny('no_rule_matched')
  const target: unknown = claims.target
  if (!Array.isArray(target) || !target.includes(input.resource.identifier)) {
    return deny('mandate_target_mismatch')
  }
  const grant = ownedGrant(tables, input)
  if (grant === undefined) return deny('resource_not_granted')
  if (!roleHolds(grant, input.principal.labels, presented)) return deny('role_scope_mismatch')
  return grant.use
}

function isWorkload({ principal, action, context, delegation_edge }: DecisionInput): boolean {
  return (
    principal.type === 'Workload' &&
    action.id === 'CredentialInjection' &&
    context.subject_claims === undefined &&
    delegation_edge === undefined &&
    context.agent_session_id === undefined
  )
}

function isBootstrap({ context, delegation_edge }: DecisionInput): boolean {
  return (
    context.requested_scopes.length > 0 &&
    context.requested_scopes.every((scope) => scope === LIFECYCLE_SCOPE) &&
    context.subject_claims === undefined &&
    delegation_edge === undefined &&
    context.agent_session_id === undefined
  )
}

function isDelegated({ context, delegation_edge }: DecisionInput): boolean {
  return (
    isNonEmpty(delegation_edge?.id) &&
    isNonEmpty(context.agent_session_id) &&
    context.subject_claims === undefined &&
    context.requested_scopes.length > 0 &&
    !context.requested_scopes.includes(LIFECYCLE_SCOPE)
  )
}

/** The grant of the resource, when the principal is the application that owns it. */
function ownedGrant(tables: Tables, input: DecisionInput): Grant | undefined {
  const grant = tables.grant(input.resource.identifier)
  return grant?.owner !== undefined && grant.owner === input.principal.id ? grant : undefined
}

function isNarrowed(requested: readonly string[], edgeScopes: readonly string[] | undefined): boolean {
  return Array.isArray(edgeScopes) && requested.every((scope) => edgeScopes.includes(scope))
}

function isConfined(
  tables: Tables,
  labels: readonly string[] | undefined,
  requested: readonly string[],
): boolean {
  const rules = tables.confinement()
  if (rules === 'malformed') return false
  if (rules.length === 0 || labels === undefined) return true
  for (const { labelPrefix, scopes } of rules) {
    const applies = labels.some((label) => label.startsWith(labelPrefix))
    if (applies && !requested.every((scope) => scopes.has(scope))) return false
  }
  return true
}

function roleHolds(grant: Grant, labels: readonly string[] | undefined, scopes: readonly string[]): boolean {
  if (labels === undefined) return false
  for (const label of labels) {
    const held = grant.roles.get(label)
    if (held !== undefined && scopes.every((scope) => held.has(scope))) return true
  }
  return false
}

/** Sts §6.5: approval declarations of the requested scopes' tiers, then the classified scopes. */
function withMintDiagnostics(
  mint: CompleteDecision,
  requested: readonly string[],
  risk: RiskTable,
  tiers: TierTable,
): Decision {
  if (risk.size === 0) return mint
  const classified = new Map<string, string>()
  for (const scope of requested) {
    const tier = risk.get(scope)
    if (tier === null) return failed(`risk gives scope ${scope} different tiers`)
    if (tier !== undefined) classified.set(scope, tier)
  }
  if (classified.size === 0) return mint
  const diagnostics: Diagnostic[] = []
  const gates: ApprovalTier[] = []
  for (const tier of [...new Set(classified.values())].sort(compareStrings))
    gates.push(...(tiers.get(tier) ?? []))
  if (gates.length > 0) diagnostics.push({ step_up_required: { type: 'human_approval', tiers: gates } })
  const scopes: RiskedScope[] = [...classified].map(([scope, tier]) => ({ scope, tier }))
  diagnostics.push({ risk: scopes.sort((a, b) => compareStrings(a.scope, b.scope)) })
  return allowWith(mint, diagnostics)
}

function isNonEmpty(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
