/**
 * `POST /v1/run/credential` (sts §14), step by step: one provider credential for one
 * bound environment name. The request carries no authority; resource and scopes come
 * from the binding, and policy decides about them like about any mint.
 */
import {
  type ApprovalTier,
  approvalGates,
  decide,
  denyReason,
  POLICY_SCHEMA_VERSION,
} from '../../../policy/index.ts'
import { DirectiveProblem, secretValue } from '../directive.ts'
import type { Metadata } from '../evidence.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Form } from '../form.ts'
import {
  accessDenied,
  credentialUnavailable,
  internalError,
  invalidToken,
  policyEvalFailed,
  resourceNotFound,
  unavailable,
} from '../refusal.ts'
import { readBindings } from './bindings.ts'
import { denied, type Injection, openInjection } from './injection.ts'
import { holdInjection, presentHold, spendHold } from './injection-approval.ts'
import { assertRunRate, authenticateWorkload, credentialsOf, type Launch } from './workload.ts'

export interface RunCredential {
  readonly env: string
  readonly credential: string
  /** Unix seconds. */
  readonly expiresAt: number | null
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
  const decided = decideInjection(injection, presented !== null, deps)
  const approved = presented ?? (await holdInjection(injection, decided.tiers, deps))
  await decided.evidence()
  const credential = await fetchCredential(injection, deps)
  if (approved !== null) await spendHold(injection, approved, deps)
  return { env, ...credential }
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
  if (decision.decision === 'error') throw policyEvalFailed()
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
