import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { compileBundle, type Decision, type PolicyBundle } from '../../src/policy/index.ts'

/** Reads one file of `test/cases/policy`. */
export function readCases<T>(name: string): T {
  const url = new URL(`../cases/policy/${name}.yaml`, import.meta.url)
  return parse(readFileSync(url, 'utf8'), { merge: true }) as T
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** JSON merge patch (RFC 7396): null removes a member. */
export function mergePatch(target: Json, patch: Json): Json {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const merged: { [key: string]: Json } =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = mergePatch(merged[key] ?? null, value)
  }
  return merged
}

/** One document per entry, as a zone would hold them. */
export function bundleOf(documents: Readonly<Record<string, string>>): PolicyBundle {
  const result = compileBundle(
    Object.entries(documents).map(([id, rules]) => ({
      id,
      content: `# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n${rules}\n`,
    })),
  )
  if (!result.ok) throw new Error(result.detail)
  return result.bundle
}

export interface ExpectedDecision {
  readonly allow?: string
  readonly deny?: string
  readonly error?: string
  readonly diagnostics?: readonly unknown[]
}

/** The short form of a decision that case files use, as far as `expected` says it. */
export function summarize(decision: Decision, expected: ExpectedDecision): ExpectedDecision {
  const { diagnostics } = decision
  const [first] = diagnostics
  switch (decision.decision) {
    case 'allow': {
      const allow = decision.determining_policies.map(({ policy }) => policy).join()
      return diagnostics.length > 0 ? { allow, diagnostics } : { allow }
    }
    case 'deny':
      return { deny: first !== undefined && 'reason' in first ? first.reason : '' }
    default: {
      const error = first !== undefined && 'error' in first ? first.error : ''
      return {
        error: expected.error !== undefined && error.includes(expected.error) ? expected.error : error,
      }
    }
  }
}
