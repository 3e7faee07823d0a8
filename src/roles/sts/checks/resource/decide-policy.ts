/** R9 and R10: the policy decision about one resource, its evidence, and its approval gates. */
import { approvalGates, decide, denyReason } from '../../../../policy/index.ts'
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'
import type { LoadedBundle } from '../../policy-bundles.ts'
import { exchangeInput } from '../../policy-input.ts'
import { policyEvalFailed } from '../../refusal.ts'

const monotonic = { now: () => performance.now() }

export function decidePolicy(
  x: Exchange,
  resource: ResourceDefinition,
  bundle: LoadedBundle,
  deps: ExchangeDeps,
): void {
  const span = deps.tracer?.start('caracal.sts.policy', {
    kind: 'internal',
    parent: x.request.trace ?? null,
    attributes: { 'caracal.resource': resource.identifier },
  })
  const startedAt = performance.now()
  const decision = decide(bundle.bundle, exchangeInput(x, resource), monotonic)
  deps.onPolicyEvaluated((performance.now() - startedAt) / 1000, decision.decision === 'error')
  if (span !== undefined) {
    span.set('caracal.decision', decision.decision)
    span.end(decision.decision === 'error' ? 'policy evaluation failed' : undefined)
  }
  deps.evidence.decided(x, resource.identifier, decision, bundle)
  if (decision.decision === 'error') throw policyEvalFailed()
  if (decision.decision === 'deny') {
    x.firstReason ??= denyReason(decision) ?? null
    return
  }
  if (x.approval === null) x.gates.push(...approvalGates(decision))
  x.granted.push({ resource, byControlKey: false })
}
