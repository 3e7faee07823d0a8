/**
 * One decision for a zone of a hundred grants, in this process: no server, no store. Processor time is
 * counted, not the clock, because a busy machine must not look like a slow policy.
 */
import {
  compileBundle,
  type DecisionInput,
  decide,
  POLICY_SCHEMA_VERSION,
  type PolicyBundle,
} from '../../src/policy/index.ts'
import { quantile } from './closed-loop.ts'

const grantCount = 100
/** Of the median batch. */
const greatestMicros = 20
const batches = 60
const perBatch = 5000

interface DecisionMeasured {
  readonly decision: string
  /** Microseconds of processor time for one decision, of the median and of the slowest twentieth of the batches. */
  readonly p50: number
  readonly p95: number
}

const application = (n: number) => `app-${n % 10}`
const resource = (n: number) => `resource://service-${n}`

/** Ten applications with ten resources each, two roles a resource, tiers and confinements beside them. */
function bundleOfGrants(restrict: string): PolicyBundle {
  const numbers = Array.from({ length: grantCount }, (_, n) => n)
  const grants = Object.fromEntries(
    numbers.map((n) => [
      resource(n),
      {
        application: application(n),
        roles: { [application(n)]: [`s${n}:read`], operator: [`s${n}:read`, `s${n}:write`] },
      },
    ]),
  )
  const tables = {
    app_ids: Object.fromEntries(numbers.slice(0, 10).map((n) => [application(n), application(n)])),
    grants,
    risk: numbers.slice(0, 20).map((n) => ({ scope: `s${n}:write`, tier: 'money' })),
    approval_tiers: [{ tier: 'money', approver: 'operator' }],
    confinement: [{ label_prefix: 'operator', scopes: numbers.map((n) => `s${n}:write`) }],
  }
  const rules = Object.entries(tables).map(([name, value]) => `${name} := ${JSON.stringify(value)}`)
  const content = [
    '# caracal:data-document',
    'package caracal.authz',
    'import rego.v1',
    ...rules,
    restrict,
  ].join('\n')
  const result = compileBundle([{ id: 'bench', content }])
  if (!result.ok) throw new Error(result.detail)
  return result.bundle
}

const n = 57
const bootstrap: DecisionInput = {
  schema_version: POLICY_SCHEMA_VERSION,
  principal: { type: 'Application', id: application(n), zone_id: 'z', registration_method: 'managed' },
  resource: { type: 'Resource', id: 'r', identifier: resource(n), scopes: [`s${n}:read`, `s${n}:write`] },
  action: { id: 'TokenExchange' },
  context: {
    actor_claims: { caracal_client_id: application(n) },
    trace_id: 't',
    challenge_resolved: false,
    requested_scopes: ['agent:lifecycle'],
  },
}
const mint: DecisionInput = {
  ...bootstrap,
  principal: { ...bootstrap.principal, agent_session_id: 'child', lifecycle: 'task', labels: ['operator'] },
  session: { id: 'sid' },
  delegation_edge: {
    id: 'edge',
    source_session_id: 'parent',
    target_session_id: 'child',
    issuer_application_id: application(n),
    receiver_application_id: application(n),
    scopes: [`s${n}:read`, `s${n}:write`],
    edge_version: 1,
    path: ['edge'],
    graph_epoch: 0,
    constraints_json: {},
  },
  context: {
    ...bootstrap.context,
    session_id: 'sid',
    agent_session_id: 'child',
    delegation_edge_id: 'edge',
    requested_scopes: [`s${n}:write`],
  },
}
const gateway: DecisionInput = {
  ...mint,
  context: {
    ...mint.context,
    requested_scopes: [],
    subject_claims: { delegation_edge_id: 'edge', scope: `s${n}:write`, target: [resource(n)] },
  },
}
const foreign: DecisionInput = { ...mint, resource: { ...mint.resource, identifier: resource(n + 1) } }

/** Prints a table and a line of JSON. True when every decision stays within its budget. */
export function runPolicyDecisions(): boolean {
  const literal = bundleOfGrants('restrict := {}')
  const computed = bundleOfGrants('restrict contains "freeze" if { input.principal.id == "app-frozen" }')
  const cases: readonly (readonly [string, PolicyBundle, DecisionInput, 'allow' | 'deny'])[] = [
    ['bootstrap', literal, bootstrap, 'allow'],
    ['delegated mint', literal, mint, 'allow'],
    ['gateway exchange', literal, gateway, 'allow'],
    ['mint for a foreign resource', literal, foreign, 'deny'],
    ['delegated mint, computed restriction', computed, mint, 'allow'],
  ]
  console.log(`policy, ${grantCount} grants                        µs p50       p95`)
  const measured = cases.map(([decision, bundle, input, expected]) => {
    const answer = decide(bundle, input)
    if (answer.decision !== expected) throw new Error(`${decision}: ${JSON.stringify(answer)}`)
    const one = { decision, ...measure(() => decide(bundle, input)) }
    const within = one.p50 <= greatestMicros ? '' : `   OVER ${greatestMicros} µs`
    console.log(
      `${decision.padEnd(42)}${one.p50.toFixed(2).padStart(8)}${one.p95.toFixed(2).padStart(10)}${within}`,
    )
    return one
  })
  console.log(JSON.stringify({ grantCount, decisions: measured }))
  return measured.every((one) => one.p50 <= greatestMicros)
}

function measure(once: () => unknown): Omit<DecisionMeasured, 'decision'> {
  const micros: number[] = []
  for (let batch = 0; batch < batches; batch += 1) {
    const before = process.cpuUsage()
    for (let n = 0; n < perBatch; n += 1) once()
    const { user, system } = process.cpuUsage(before)
    micros.push((user + system) / perBatch)
  }
  micros.sort((a, b) => a - b)
  return { p50: quantile(micros, 0.5), p95: quantile(micros, 0.95) }
}
