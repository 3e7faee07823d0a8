/** Deciding an input with a sealed version without activating it (control-api §7.12). Nothing is stored or counted. */

import { isJsonObject } from '../../platform/json.ts'
import { POLICY_SCHEMA_VERSION } from '../../policy/index.ts'
import type { PolicyResult } from '../sts/port.ts'
import { type Control, reading } from './control.ts'
import { notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { findPolicySetVersion } from './store/policy-sets.ts'
import { verifyManifest } from './verify-manifest.ts'

type Input = Readonly<Record<string, unknown>>

/** What an input lacks or contradicts; evaluation would not answer the question that was meant. */
function inputWarnings(input: Input, zoneId: string): string[] {
  const warnings: string[] = []
  const version = input.schema_version
  if (version !== undefined && version !== POLICY_SCHEMA_VERSION) {
    warnings.push(`input_schema_mismatch:${String(version).slice(0, 64)}`)
  }
  const principal = input.principal
  if (!isJsonObject(principal) || principal.zone_id !== zoneId) warnings.push('principal_zone_mismatch')
  for (const part of ['resource', 'action', 'context']) {
    if (!isJsonObject(input[part])) warnings.push(`missing_${part}`)
  }
  return warnings
}

interface Outcome {
  readonly evaluation: 'executed' | 'not_executed' | 'failed'
  readonly reason: string
  readonly result: PolicyResult | null
  readonly warnings: readonly string[]
}

const notExecuted = (reason: string, warnings: readonly string[] = []): Outcome => ({
  evaluation: 'not_executed',
  reason,
  result: null,
  warnings,
})

async function evaluate(
  control: Control,
  simulation: Omit<Parameters<NonNullable<Control['sts']>['simulatePolicy']>[0], 'input'>,
  input: Input | undefined,
): Promise<Outcome> {
  if (input === undefined) return notExecuted('no input was given')
  if (control.sts === null) return notExecuted('no STS is configured')
  try {
    const answer = await control.sts.simulatePolicy({ ...simulation, input })
    if (answer.ok) {
      return { evaluation: 'executed', reason: 'decided', result: answer.result, warnings: [] }
    }
    return {
      evaluation: 'failed',
      reason: answer.description,
      result: null,
      warnings: [`sts_simulation_failed:${answer.error}`],
    }
  } catch (error) {
    control.log.warn({ err: error }, 'policy_simulation_unavailable')
    return notExecuted('the STS cannot be reached', ['sts_simulation_unreachable:transport'])
  }
}

/** Throws 404 `version_not_found`; 422 `invalid_policy_contract`. */
export async function simulatePolicySet(
  control: Control,
  call: Call<unknown, unknown>,
  request: { readonly version_id: string; readonly input?: Input | undefined },
) {
  const { version, verified } = await reading(control, call, async (db) => {
    const row = await findPolicySetVersion(db, call.zoneId, call.id, request.version_id)
    if (row === null) throw notFound('version_not_found')
    return { version: row, verified: await verifyManifest(db, call.zoneId, row.manifest_json) }
  })
  const shape = request.input === undefined ? [] : inputWarnings(request.input, call.zoneId)
  const outcome = await evaluate(
    control,
    {
      policy_set_id: call.id,
      version_id: version.id,
      manifest_sha256: version.manifest_sha256,
      policies: verified.documents.map(({ id, content }) => ({ id, content })),
    },
    request.input,
  )
  return {
    dry_run: true,
    would_activate: shape.length === 0,
    policy_set_id: call.id,
    version_id: version.id,
    schema_version: version.schema_version,
    input_schema_version: POLICY_SCHEMA_VERSION,
    manifest_sha256: version.manifest_sha256,
    policies: verified.documents.map((document) => document.id),
    warnings: [...shape, ...outcome.warnings],
    explanation: {
      evaluation: outcome.evaluation,
      reason: outcome.reason,
      ...(outcome.result === null
        ? {}
        : {
            decision: outcome.result.decision,
            policy_set_version_id: version.id,
            manifest_sha256: version.manifest_sha256,
          }),
    },
    result: outcome.result,
  }
}
