/**
 * `POST /v1/run/credential` (sts §14), step by step: one provider credential for one
 * bound environment name. The request carries no authority; resource and scopes come
 * from the binding, and policy decides about them like about any mint.
 */

import {
  type ApprovalTier,
  approvalGates,
  DECISION_CONTRACT_SHA,
  DECISION_CONTRACT_VERSION,
  decide,
  denyReason,
  POLICY_SCHEMA_VERSION,
} from '../../../policy/index.ts'
import { requestBinding } from '../approvals/binding.ts'
import { type Hold, holdMetadata } from '../approvals/hold.ts'
import { interactionRequired } from '../approvals/interaction-required.ts'
import { classConflict, mergeGates } from '../approvals/merge-gates.ts'
import type { ProviderDefinition, ResourceDefinition } from '../definitions.ts'
import { DirectiveProblem, secretValue } from '../directive.ts'
import type { Metadata } from '../evidence.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { lifecycleScope } from '../exchange-state.ts'
import type { Form } from '../form.ts'
import { readResourceSnapshot } from '../open-exchange.ts'
import type { LoadedBundle } from '../policy-bundles.ts'
import {
  accessDenied,
  approvalConsumed,
  credentialUnavailable,
  internalError,
  invalidToken,
  policyEvalFailed,
  resourceNotFound,
  unavailable,
} from '../refusal.ts'
import { consumeHold } from '../store/holds.ts'
import type { WorkloadRow } from '../store/workloads.ts'
import { type Binding, readBindings } from './bindings.ts'
import {
  assertRunRate,
  authenticateWorkload,
  credentialsOf,
  type Launch,
  workloadMetadata,
} from './workload.ts'

export interface RunCredential {
  readonly env: string
  readonly credential: string
  /** Unix seconds. */
  readonly expiresAt: number | null
}

/** What the steps know once the binding is found. */
interface Injection {
  readonly workload: WorkloadRow
  readonly launch: Launch
  readonly binding: Binding
  readonly facts: Metadata
  readonly resource: ResourceDefinition
  readonly provider: ProviderDefinition
  readonly bundle: LoadedBundle
}

export async function runCredential(form: Form, launch: Launch, deps: ExchangeDeps): Promise<RunCredential> {
  const credentials = credentialsOf(form)
  const env = (form.get('env') ?? '').trim()
  if (env === '') throw invalidToken('env is required')
  await assertRunRate(credentials.workloadId, 'run-credential', deps)
  const workload = await authenticateWorkload(credentials, launch, deps)
  const bindings = readBindings(workload.bindings)
  if (bindings === null) throw internalError('bindings of the workload cannot be read')
  const binding = bindings.find((candidate) => candidate.env === env)
  if (binding === undefined) throw resourceNotFound('workload has no binding for this environment name')

  const injection = await openInjection(workload, launch, binding, deps)
  const presented = await presentHold(form, injection, deps)
  const gates = decideInjection(injection, presented !== null, deps)
  const approved = presented ?? (await holdInjection(injection, gates, deps))
  await gates.evidence()
  const credential = await fetchCredential(injection, deps)
  if (approved !== null) await spend(injection, approved, deps)
  return { env, ...credential }
}

async function openInjection(
  workload: WorkloadRow,
  launch: Launch,
  binding: Binding,
  deps: ExchangeDeps,
): Promise<Injection> {
  const facts = {
    ...workloadMetadata(workload, launch),
    resource: binding.resource,
    env: binding.env,
  }
  const deny = (status: string, extra: Metadata = {}) =>
    denied(workload.zone_id, launch, status, { ...facts, ...extra }, deps)
  const { resource, binding: active } = await readResourceSnapshot(workload.zone_id, binding.resource, deps)
  if (resource === null) {
    deny('resource_not_found')
    throw resourceNotFound('resource of the binding does not exist')
  }
  const { provider } = resource
  if (provider === null || provider === 'missing') {
    deny('provider_unavailable', { reason: provider === null ? 'no_provider' : 'provider_not_found' })
    throw accessDenied('resource has no provider')
  }
  assertInjectable(provider, deny)
  if (!binding.scopes.every((scope) => scopeDeclared(resource, scope))) {
    deny('scope_mismatch')
    throw accessDenied('binding exceeds the scopes of its resource')
  }
  let bundle: LoadedBundle
  try {
    bundle = await deps.bundles.at(workload.zone_id, active)
  } catch (error) {
    throw unavailable('policy cannot be read', error)
  }
  return { workload, launch, binding, facts, resource, provider, bundle }
}

const injectableKinds = new Set(['api_key', 'bearer_token', 'oauth2_client_credentials'])

function assertInjectable(
  provider: ProviderDefinition,
  deny: (status: string, extra: Metadata) => void,
): void {
  if (injectableKinds.has(provider.kind) && provider.config.allow_runtime_injection === true) return
  deny('credential_injection_denied', { reason: 'runtime_injection_not_allowed' })
  throw accessDenied('provider does not allow runtime injection')
}

function scopeDeclared(resource: ResourceDefinition, scope: string): boolean {
  return (
    resource.scopes.includes(scope) ||
    (scope === lifecycleScope && resource.upstreamUrl !== null && resource.upstreamUrl !== '')
  )
}

function bindingHashOf({ workload, binding, bundle }: Injection): Buffer {
  return requestBinding({
    resources: [binding.resource],
    scopes: binding.scopes,
    principal: workload.id,
    authorityRecord: '',
    session: '',
    delegation: '',
    application: '',
    policySetVersion: bundle.policySetVersionId ?? '',
    policyManifest: bundle.manifestSha,
  })
}

/** As sts §8.4, without a re-issue window. */
async function presentHold(form: Form, injection: Injection, deps: ExchangeDeps): Promise<Hold | null> {
  const id = (form.get('approval_id') ?? form.get('challenge_id') ?? '').trim()
  if (id === '') return null
  const { workload, launch, facts } = injection
  const deny = (status: string, hold: Hold | null) =>
    denied(workload.zone_id, launch, status, { ...facts, ...(hold === null ? {} : holdMetadata(hold)) }, deps)
  const hold = await deps.approvals.find(id)
  const fits =
    hold !== null &&
    hold.challenge_type === 'human_approval' &&
    hold.zone_id === workload.zone_id &&
    hold.principal_id === workload.id &&
    hold.session_id === ''
  if (!fits) {
    deny('approval_invalid', null)
    throw accessDenied('approval does not match this request', 401)
  }
  if (hold.binding !== bindingHashOf(injection).toString('hex')) {
    const policyMoved = hold.metadata.policy_set_version_id !== (injection.bundle.policySetVersionId ?? '')
    deny(policyMoved ? 'approval_policy_changed' : 'approval_invalid', hold)
    throw accessDenied('approval does not match this request', 401)
  }
  switch (hold.state) {
    case 'approved':
      return hold
    case 'pending':
      throw interactionRequired(hold)
    case 'rejected':
      deny('approval_rejected', hold)
      throw accessDenied('approval was rejected')
    case 'expired':
      deny('approval_expired', hold)
      throw accessDenied('approval has expired', 401)
    case 'consumed':
      deny('approval_already_consumed', hold)
      throw approvalConsumed()
  }
}

interface Decided {
  readonly tiers: readonly ApprovalTier[]
  /** Waits until the allow event rests. */
  evidence(): Promise<void>
}

function decideInjection(injection: Injection, resolved: boolean, deps: ExchangeDeps): Decided {
  const { workload, launch, binding, resource, bundle, facts } = injection
  const startedAt = performance.now()
  const decision = decide(
    bundle.bundle,
    {
      schema_version: POLICY_SCHEMA_VERSION,
      principal: { type: 'Workload', id: workload.id, zone_id: workload.zone_id },
      resource: {
        type: 'Resource',
        id: resource.id,
        identifier: resource.identifier,
        scopes: resource.scopes,
      },
      action: { id: 'CredentialInjection' },
      context: {
        actor_claims: { caracal_client_id: workload.id },
        trace_id: launch.requestId,
        challenge_resolved: resolved,
        requested_scopes: binding.scopes,
      },
    },
    { now: () => performance.now() },
  )
  deps.onPolicyEvaluated((performance.now() - startedAt) / 1000, decision.decision === 'error')
  const accepted = deps.evidence.emit({
    zoneId: workload.zone_id,
    requestId: launch.requestId,
    decision: decision.decision === 'allow' ? 'allow' : 'deny',
    status: decision.evaluation_status,
    policies: decision.determining_policies as readonly unknown[] as readonly Metadata[],
    diagnostics: decision.diagnostics as readonly unknown[] as readonly Metadata[],
    bundle,
    metadata: { ...facts, requested_scopes: binding.scopes },
  })
  if (decision.decision === 'error') throw policyEvalFailed(503, 'policy evaluation failed')
  if (decision.decision === 'deny') {
    const reason = denyReason(decision)
    throw accessDenied(reason === undefined ? 'policy denied' : `policy denied (${reason})`)
  }
  return {
    tiers: approvalGates(decision),
    async evidence() {
      if ((await accepted) === 'lost') throw unavailable('evidence cannot be kept')
    },
  }
}

/** Raises the hold the gates ask for; an approved one is used at once. */
async function holdInjection(
  injection: Injection,
  decided: Decided,
  deps: ExchangeDeps,
): Promise<Hold | null> {
  if (decided.tiers.length === 0) return null
  const { workload, launch, binding, bundle, facts } = injection
  const terms = mergeGates(decided.tiers)
  if (terms === null) {
    denied(workload.zone_id, launch, 'approval_class_conflict', facts, deps)
    throw classConflict()
  }
  const { hold, created } = await deps.approvals.ensure(
    {
      zoneId: workload.zone_id,
      principalId: workload.id,
      applicationId: null,
      recordId: '',
      binding: bindingHashOf(injection),
      subjectAnchor: null,
      metadata: {
        requested_scopes: binding.scopes,
        resources: [binding.resource],
        policy_set_version_id: bundle.policySetVersionId ?? '',
        policy_manifest_sha: bundle.manifestSha,
        decision_contract_version: DECISION_CONTRACT_VERSION,
        decision_contract_sha: DECISION_CONTRACT_SHA,
      },
    },
    terms,
  )
  if (created) {
    void deps.evidence.emit({
      zoneId: workload.zone_id,
      requestId: launch.requestId,
      type: 'step_up_issued',
      decision: 'pending',
      status: 'complete',
      metadata: { ...facts, ...holdMetadata(hold) },
    })
  }
  if (hold.state === 'approved') return hold
  if (hold.state === 'rejected') {
    denied(workload.zone_id, launch, 'approval_rejected', { ...facts, ...holdMetadata(hold) }, deps)
    throw accessDenied('approval was rejected')
  }
  throw interactionRequired(hold)
}

async function fetchCredential(
  { workload, provider, launch, facts, resource }: Injection,
  deps: ExchangeDeps,
): Promise<Pick<RunCredential, 'credential' | 'expiresAt'>> {
  try {
    if (provider.kind === 'oauth2_client_credentials') {
      const token = await deps.credentials.serviceToken(workload.zone_id, provider)
      return { credential: token.value, expiresAt: token.expiresAt ?? null }
    }
    const secrets = deps.credentials.secrets(workload.zone_id, provider)
    return { credential: secretValue(secrets, provider.kind), expiresAt: null }
  } catch (error) {
    if (!(error instanceof DirectiveProblem)) throw error
    denied(
      workload.zone_id,
      launch,
      'provider_credential_unavailable',
      { ...facts, reason: error.message },
      deps,
    )
    throw credentialUnavailable(`credential of ${resource.identifier} is unavailable: ${error.message}`)
  }
}

async function spend(injection: Injection, hold: Hold, deps: ExchangeDeps): Promise<void> {
  const { workload, launch, facts } = injection
  if (!(await consumeHold(deps.db, hold, null))) {
    denied(workload.zone_id, launch, 'approval_already_consumed', { ...facts, ...holdMetadata(hold) }, deps)
    throw approvalConsumed()
  }
  const accepted = await deps.evidence.emit({
    zoneId: workload.zone_id,
    requestId: launch.requestId,
    type: 'step_up_consumed',
    decision: 'consumed',
    status: 'complete',
    metadata: { ...facts, ...holdMetadata(hold) },
  })
  if (accepted === 'lost') throw unavailable('evidence cannot be kept')
}

function denied(
  zoneId: string,
  launch: Launch,
  status: string,
  metadata: Metadata,
  deps: ExchangeDeps,
): void {
  void deps.evidence.emit({ zoneId, requestId: launch.requestId, decision: 'deny', status, metadata })
}
