/**
 * A zone's documents, compiled (sts §6.7 steps 6 and 7). Literal documents become
 * tables once; the rest is evaluated for each decision.
 */
import { computeTables } from './computed-tables.ts'
import { CONTRACT_PACKAGE, type DataDocumentName, dataDocumentNames } from './contract.ts'
import type { DecisionInput } from './decision-input.ts'
import type { PolicyDocument } from './document.ts'
import { type Conflict, type MergedDocuments, mergeDocuments } from './merge.ts'
import { beginEvaluation } from './rego/engine.ts'
import { RegoEvaluationError, RegoSyntaxError } from './rego/failure.ts'
import type { EvaluationOptions } from './rego/machine.ts'
import { parseModule } from './rego/parser.ts'
import { compileProgram, type Program } from './rego/program.ts'
import type { Module } from './rego/syntax.ts'
import { toJson } from './rego/value.ts'
import { type DocumentValues, deepFreeze, indexDocuments, type Tables } from './tables.ts'

/** A zone's compiled documents. Opaque, immutable, safe to share between requests. */
export interface PolicyBundle {
  /** `false` for the deny-all bundle. */
  readonly active: boolean
  /** Belongs to `decide`: the tables for one input. `null` grants nothing. */
  readonly tables: ((input: DecisionInput, options: EvaluationOptions) => Tables) | null
}

export type BundleResult =
  | { readonly ok: true; readonly bundle: PolicyBundle }
  | {
      readonly ok: false
      readonly code: 'invalid_policy_bundle'
      /** A sentence for logs and audit: names documents and positions, never their content. */
      readonly detail: string
      readonly documentId?: string
    }

/** Installed when a zone has no active policy set, or its bundle is unusable: denies with `no_active_policy_set`. */
export const denyAllBundle: PolicyBundle = Object.freeze({ active: false, tables: null })

/**
 * Compiles the documents of one policy set version. Conflicts between documents
 * are found here, not at the first mint. Never throws. An empty list is refused.
 */
export function compileBundle(documents: readonly PolicyDocument[]): BundleResult {
  if (documents.length === 0) return refusal('a policy set needs at least one document')
  const modules: Module[] = []
  for (const { id, content } of documents) {
    try {
      const module = parseModule(id, content)
      if (module.package.join('.') !== CONTRACT_PACKAGE) {
        return refusal(`the package must be ${CONTRACT_PACKAGE}`, id)
      }
      modules.push(module)
    } catch (error) {
      if (!(error instanceof RegoSyntaxError)) throw error
      return refusal(`${error.line}:${error.column}: ${error.message}`, id)
    }
  }
  try {
    const linked = linkDocuments(modules)
    if ('message' in linked) {
      return refusal(`${linked.at.line}:${linked.at.column}: ${linked.message}`, linked.documentId)
    }
    return { ok: true, bundle: Object.freeze({ active: true, tables: tablesOf(settle(linked)) }) }
  } catch (error) {
    if (error instanceof RegoEvaluationError) return refusal(error.message)
    if (!(error instanceof RegoSyntaxError)) throw error
    return refusal(`${error.line}:${error.column}: ${error.message}`, error.module)
  }
}

export interface LinkedDocuments extends MergedDocuments {
  /** `null` when every document is a literal value. */
  readonly program: Program | null
}

/** Merges modules and compiles what must be computed. Throws `RegoSyntaxError` for what cannot be. */
export function linkDocuments(modules: readonly Module[]): LinkedDocuments | Conflict {
  const merged = mergeDocuments(modules)
  if ('message' in merged) return merged
  const program = merged.computed.size === 0 ? null : compileProgram(modules, contractRules)
  return { ...merged, program }
}

/**
 * Evaluates, once, what does not depend on the input. A conflict or a broken
 * budget there would fail every decision, so it fails the bundle.
 */
function settle({ values, computed, program }: LinkedDocuments): LinkedDocuments {
  if (program === null) return { values, computed, program }
  const settled = new Map(values)
  const left = new Set<DataDocumentName>()
  for (const name of computed) {
    const path = `${CONTRACT_PACKAGE}.${name}`
    if (program.readingInput.has(path)) {
      left.add(name)
      continue
    }
    const value = beginEvaluation(program, undefined, {})(path)
    if (value !== undefined) settled.set(name, value)
  }
  return { values: settled, computed: left, program: left.size === 0 ? null : program }
}

/** A document may refer to the others, wherever they are defined. */
const contractRules = dataDocumentNames.map((name) => `${CONTRACT_PACKAGE}.${name}`)

function tablesOf({ values, computed, program }: LinkedDocuments): NonNullable<PolicyBundle['tables']> {
  const literal: { -readonly [Name in keyof DocumentValues]: unknown } = {}
  for (const [name, value] of values) literal[name] = deepFreeze(toJson(value))
  const tables = indexDocuments(literal)
  if (program === null) return () => tables
  return (input, options) => computeTables(program, literal, tables, computed, input, options)
}

function refusal(detail: string, documentId?: string): BundleResult {
  const named = documentId === undefined ? detail : `${documentId}: ${detail}`
  const base = { ok: false, code: 'invalid_policy_bundle', detail: named } as const
  return documentId === undefined ? base : { ...base, documentId }
}
