/** A tried decision, in words. */
import { Badge, Facts, Json, Notice } from '../../ui/basics.tsx'

interface Tier {
  readonly tier: string
  readonly approver?: string
  readonly ttl_seconds?: number
}

/** One of the members is there (sts §6.5). */
interface Diagnostic {
  readonly reason?: string
  readonly step_up_required?: { readonly tiers: readonly Tier[] }
  readonly risk?: readonly { readonly scope: string; readonly tier: string }[]
}

export interface Simulation {
  readonly warnings: readonly string[]
  readonly explanation: {
    readonly evaluation: 'executed' | 'not_executed' | 'failed'
    readonly reason: string
  }
  readonly result: {
    readonly decision: 'allow' | 'deny'
    readonly determining_policies: readonly { readonly policy: string }[]
    readonly diagnostics: readonly Diagnostic[]
  } | null
}

const reasons: Readonly<Record<string, string>> = {
  restriction_active: 'The zone is frozen: the document “restrict” has an entry.',
  no_rule_matched: 'No rule allows such a request. The resource may have no grant for this application.',
  malformed_risk_data: 'The document “risk” does not have the expected form.',
  malformed_approval_data: 'The document “approval_tiers” does not have the expected form.',
  resource_not_granted: 'No grant gives this resource to this application.',
  delegation_scope_exceeded: 'The delegation does not hold every scope asked for.',
  confinement_violation: 'A label of the session is confined to fewer scopes.',
  role_scope_mismatch: 'No label of the session holds all of these scopes in the grant of the resource.',
  mandate_target_mismatch: 'The mandate is for another resource.',
  no_active_policy_set: 'No policy set is active.',
}

export function Decision({ of: { warnings, explanation, result } }: { readonly of: Simulation }) {
  if (result === null)
    return (
      <Notice tone="bad">
        <p>
          {explanation.evaluation === 'failed'
            ? 'Deciding failed, which denies every such request: '
            : 'Nothing was decided: '}
          {explanation.reason}
        </p>
        {warnings.map((warning) => (
          <p key={warning} class="faint">
            {warning}
          </p>
        ))}
      </Notice>
    )
  const { decision, determining_policies, diagnostics } = result
  const gates = diagnostics.flatMap(({ step_up_required }) => step_up_required?.tiers ?? [])
  const risks = diagnostics.flatMap(({ risk }) => risk ?? [])
  const why = diagnostics.flatMap(({ reason }) => (reason === undefined ? [] : [reason]))
  return (
    <Notice tone={decision === 'deny' ? 'bad' : gates.length > 0 ? 'warn' : 'ok'}>
      <p>
        <Badge tone={decision === 'allow' ? 'ok' : 'bad'}>{decision}</Badge>
      </p>
      {why.map((reason) => (
        <p key={reason}>
          {reasons[reason] ?? ''} <code>{reason}</code>
        </p>
      ))}
      {gates.map(({ tier, approver = 'operator', ttl_seconds }) => (
        <p key={tier}>
          Held until a person approves: tier <code>{tier}</code>, approver {approver}
          {ttl_seconds === undefined ? '' : `, within ${ttl_seconds} seconds`}.
        </p>
      ))}
      <Facts
        of={{
          ...(decision === 'allow'
            ? { 'Determining policies': determining_policies.map(({ policy }) => policy).join(', ') }
            : {}),
          ...(risks.length > 0
            ? { Risk: risks.map(({ scope, tier }) => `${scope}: ${tier}`).join(', ') }
            : {}),
          ...(warnings.length > 0 ? { Warnings: warnings.join(', ') } : {}),
        }}
      />
      <details>
        <summary>As the server answers it</summary>
        <Json value={result} />
      </details>
    </Notice>
  )
}
