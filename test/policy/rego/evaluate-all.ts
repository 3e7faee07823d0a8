import type { PolicyEngine } from '../../../src/policy/index.ts'
import type { OpaAnswer } from './opa.ts'

/** Values of all rules of one package, in the form the oracle answers. */
export function evaluateAll(engine: PolicyEngine, path: string, content: string, input: unknown): OpaAnswer {
  const compiled = engine.compile([{ id: 'case', content }])
  if (!compiled.ok) {
    return { kind: 'refused', codes: [], message: `${compiled.line}:${compiled.column}: ${compiled.message}` }
  }
  const evaluation = compiled.bundle.begin(input)
  const value: Record<string, unknown> = {}
  for (const entrypoint of compiled.bundle.entrypoints) {
    const result = evaluation.evaluate(entrypoint)
    if (!result.ok) return { kind: 'failed', message: `${result.kind}: ${result.message}` }
    if (result.defined) value[entrypoint.slice(path.length + 1)] = JSON.parse(JSON.stringify(result.value))
  }
  return { kind: 'value', value }
}
