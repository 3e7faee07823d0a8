/** Shapes shared by validation and compilation of policy documents. */

/** One stored policy version. `id` only names it in errors. */
export interface PolicyDocument {
  readonly id: string
  readonly content: string
}

/** What an authority document contains, for people (control-api §7.10). */
export interface DocumentPreview {
  readonly package: string
  /** Sorted, distinct rule names. */
  readonly rules: readonly string[]
  readonly default_result: false
  readonly decisions: readonly []
  /** Sorted, distinct `input.…` paths. */
  readonly inputs_referenced: readonly string[]
  /** Sorted, distinct `data.…` paths. */
  readonly data_referenced: readonly string[]
}

export type ForbiddenBuiltin =
  | 'http.send'
  | 'net.lookup_ip_addr'
  | 'net.cidr_contains'
  | 'net.cidr_intersects'
  | 'net.cidr_expand'
  | 'net.cidr_merge'
  | 'opa.runtime'
  | 'rand.intn'
  | 'time.now_ns'

/** `error_description` of `invalid_rego`, in the order of sts §16.3. */
export type ValidationCode =
  | 'empty_policy'
  | 'content_too_large'
  | 'unterminated_string'
  | 'unbalanced_delimiters'
  | 'missing_package_declaration'
  | 'invalid_package_name'
  | `forbidden_builtin:${ForbiddenBuiltin}`
  | 'must_use_package_caracal_authz'
  | 'must_be_data_document'
  | 'data_document_must_not_define_result'
  | 'data_document_must_define_data'
  | `data_document_rule_not_allowed:${string}`
  | `data_document_unsupported_syntax:${number}:${number}`

export type ValidationResult =
  | {
      readonly ok: true
      readonly preview: DocumentPreview
      /** Sentences about values that load but can never grant anything; empty when none. */
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      readonly code: ValidationCode
      /** A sentence for people, with the position where there is one. */
      readonly detail: string
    }
