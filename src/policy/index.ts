/**
 * The policy library: reads authority documents, decides mandates, evaluates
 * Rego modules. Pure: no I/O, no clock, no randomness; the same documents and
 * input always give the same answer. Used by sts (decide) and control
 * (validate, preview, verify bundles).
 */
import type { Decision } from './decision.ts'
import type { DecisionInput } from './decision-input.ts'
import type { PolicyDocument, ValidationResult } from './document.ts'

export * from './contract.ts'
export * from './decision.ts'
export type * from './decision-input.ts'
export type * from './document.ts'
export * from './manifest.ts'

/** A zone's compiled documents. Opaque, immutable, safe to share between requests. */
export interface PolicyBundle {
  /** `false` for the deny-all bundle. */
  readonly active: boolean
}

export type BundleResult =
  | { readonly ok: true; readonly bundle: PolicyBundle }
  | {
      readonly ok: false
      readonly code: 'invalid_policy_bundle'
      /** Private-safe sentence for logs and audit: names documents and positions, never their content. */
      readonly detail: string
      readonly documentId?: string
    }

export interface DecideOptions {
  /** Monotonic milliseconds. With it an evaluation also stops after 50 ms; without it only the step budget holds. */
  readonly now?: () => number
}

/** Installed when a zone has no active policy set, or its bundle is unusable: denies with `no_active_policy_set`. */
export declare const denyAllBundle: PolicyBundle

/** Checks one document for authoring: the ordered codes of sts §16.3, and its preview. Never throws. */
export declare function validateDocument(content: string): ValidationResult

/**
 * Compiles the documents of one policy set version. Conflicts between documents
 * are found here, not at the first mint. Never throws. An empty list is refused.
 */
export declare function compileBundle(documents: readonly PolicyDocument[]): BundleResult

/**
 * The fixed decision function of sts §6.4. Never throws: whatever goes wrong
 * while evaluating is a `FailedDecision`, which grants nothing.
 */
export declare function decide(bundle: PolicyBundle, input: DecisionInput, options?: DecideOptions): Decision
