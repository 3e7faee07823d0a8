/** The syntax tree of the supported subset (sts §16.4). Plain data, as written: nothing is resolved yet. */
import type { Position } from './failure.ts'
import type { Value } from './value.ts'

export interface Module {
  readonly id: string
  /** Path of the package, without `data`. */
  readonly package: readonly string[]
  readonly rules: readonly Rule[]
  readonly comments: readonly (Position & { readonly text: string })[]
}

export type RuleKind = 'complete' | 'function' | 'set' | 'object'

export interface Rule {
  readonly at: Position
  readonly name: string
  readonly kind: RuleKind
  readonly isDefault: boolean
  /** Parameters of a function. */
  readonly parameters: readonly Term[]
  /** Key of a partial object. */
  readonly key: Term | null
  /** Value of a complete rule, function or object entry; member of a set. */
  readonly value: Term
  /** `null` when the rule has no body and always holds. */
  readonly body: Body | null
  /** `else` branches of complete rules and functions, in order. */
  readonly otherwise: readonly { readonly value: Term; readonly body: Body | null; readonly at: Position }[]
}

export type Body = readonly Statement[]

export type Statement =
  | { readonly kind: 'term'; readonly at: Position; readonly negated: boolean; readonly term: Term }
  | { readonly kind: 'assign'; readonly at: Position; readonly target: Term; readonly term: Term }
  | {
      readonly kind: 'unify'
      readonly at: Position
      readonly negated: boolean
      readonly left: Term
      readonly right: Term
    }
  | { readonly kind: 'declare'; readonly at: Position; readonly names: readonly string[] }
  | {
      readonly kind: 'some'
      readonly at: Position
      readonly key: Term | null
      readonly value: Term
      readonly domain: Term
    }
  | {
      readonly kind: 'every'
      readonly at: Position
      readonly key: Term | null
      readonly value: Term
      readonly domain: Term
      readonly body: Body
    }

export type Term =
  | { readonly kind: 'scalar'; readonly at: Position; readonly value: Value }
  | { readonly kind: 'variable'; readonly at: Position; readonly name: string }
  | { readonly kind: 'reference'; readonly at: Position; readonly head: Term; readonly path: readonly Term[] }
  | { readonly kind: 'array'; readonly at: Position; readonly items: readonly Term[] }
  | { readonly kind: 'set'; readonly at: Position; readonly items: readonly Term[] }
  | {
      readonly kind: 'object'
      readonly at: Position
      readonly entries: readonly (readonly [Term, Term])[]
    }
  | {
      readonly kind: 'call'
      readonly at: Position
      /** Dotted name of a function, or the operator. */
      readonly name: string
      readonly operands: readonly Term[]
    }
  | {
      readonly kind: 'comprehension'
      readonly at: Position
      readonly shape: 'array' | 'set' | 'object'
      readonly key: Term | null
      readonly value: Term
      readonly body: Body
    }
