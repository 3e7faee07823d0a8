/** Decides one input against a supplied bundle, without side effects (sts §6.8). */
import { compileBundle, completeInput, decide, schemaVersionProblem } from '../../policy/index.ts'
import type { PolicySimulation, PolicySimulationResult } from './port.ts'

export function simulate(simulation: PolicySimulation): PolicySimulationResult {
  const { policies, input } = simulation
  if (policies.length === 0) return problem(400, 'invalid_token', 'policies must not be empty')
  const completed = completeInput(input)
  const unsupported = schemaVersionProblem(completed.schema_version)
  if (unsupported !== null) return problem(422, 'policy_eval_failed', unsupported)
  const compiled = compileBundle(policies)
  if (!compiled.ok) return problem(422, 'policy_eval_failed', compiled.detail)
  const decision = decide(compiled.bundle, completed, { now: () => performance.now() })
  if (decision.decision === 'error') {
    return problem(422, 'policy_eval_failed', decision.diagnostics[0].error)
  }
  return {
    ok: true,
    policy_set_id: simulation.policy_set_id,
    version_id: simulation.version_id,
    manifest_sha256: simulation.manifest_sha256,
    result: {
      decision: decision.decision,
      evaluation_status: decision.evaluation_status,
      determining_policies: decision.determining_policies,
      diagnostics: decision.diagnostics as readonly unknown[] as readonly Readonly<Record<string, unknown>>[],
    },
  }
}

function problem(
  status: 400 | 422,
  error: 'invalid_token' | 'policy_eval_failed',
  description: string,
): PolicySimulationResult {
  return { ok: false, status, error, description }
}
