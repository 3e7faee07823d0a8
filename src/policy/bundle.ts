/**
 * A zone's documents, compiled (sts §6.7 steps 6 and 7). Literal documents become
 * tables once; the rest is evaluated for each decision.
 */
import { CONTRACT_PACKAGE, type DataDocumentName } from './contract.ts'
import type { PolicyDocument } from './document.ts'
import { mergeDocuments } from './merge.ts'
import { RegoSyntaxError } from './rego/failure.ts'
import { parseModule } from './rego/parser.ts'
import type { Module } from './rego/syntax.ts'
import { toJson } from './rego/value.ts'
import { indexDocuments, type Tables } from './tables.ts'

/** A zone's compiled documents. Opaque, immutable, safe to share between requests. */
export interface PolicyBundle {
  /** `false` for the deny-all bundle. */
  readonly active: boolean
  /** Belongs to `decide`; `null` grants nothing. */
  readonly tables: Tables | null
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
  const merged = mergeDocuments(modules)
  if ('message' in merged) {
    return refusal(`${merged.at.line}:${merged.at.column}: ${merged.message}`, merged.documentId)
  }
  const [unread] = merged.computed
  if (unread !== undefined) return refusal(`${unread} is not a literal value`)
  const values: Partial<Record<DataDocumentName, unknown>> = {}
  for (const [name, value] of merged.values) values[name] = deepFreeze(toJson(value))
  return { ok: true, bundle: Object.freeze({ active: true, tables: indexDocuments(values) }) }
}

function refusal(detail: string, documentId?: string): BundleResult {
  const named = documentId === undefined ? detail : `${documentId}: ${detail}`
  const base = { ok: false, code: 'invalid_policy_bundle', detail: named } as const
  return documentId === undefined ? base : { ...base, documentId }
}

/** Declarations are handed out in decisions, so nobody may change them. */
function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}
