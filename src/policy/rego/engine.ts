/**
 * The policy engine (sts §16.4): modules in, a bundle that answers entry points
 * out. In process, pure, with budgets: an evaluation that exceeds them or runs
 * into a conflict is a failure, which callers treat as a denial.
 */
import { RegoEvaluationError, RegoSyntaxError } from './failure.ts'
import { type EvaluationOptions, Machine } from './machine.ts'
import { parseModule } from './parser.ts'
import { compileProgram, type Program } from './program.ts'
import { readRule } from './rule-group.ts'
import type { Module } from './syntax.ts'
import { toJson, type Value } from './value.ts'

/** One module: any package, Rego v1 syntax within the supported subset. */
export interface PolicyModule {
  readonly id: string
  readonly content: string
}

export type CompilationResult =
  | { readonly ok: true; readonly bundle: EvaluatedBundle }
  | {
      readonly ok: false
      readonly module: string
      /** 1-based. */
      readonly line: number
      readonly column: number
      readonly message: string
    }

export type EvaluationResult =
  | {
      readonly ok: true
      readonly defined: true /** JSON; sets are sorted arrays. */
      readonly value: unknown
    }
  | { readonly ok: true; readonly defined: false }
  | {
      readonly ok: false
      /** `conflict`: two different values for one rule or key. `budget`: steps, depth or time. `input`: no JSON value. */
      readonly kind: 'conflict' | 'budget' | 'input'
      readonly message: string
    }

/** Compiled modules. Immutable, safe to share between evaluations. */
export interface EvaluatedBundle {
  /** Every rule that can be asked for, as `package.rule`; functions excluded. */
  readonly entrypoints: ReadonlySet<string>
  /** The value of `package.rule` (`data.` in front is accepted); undefined for an unknown one. Never throws. */
  evaluate(entrypoint: string, input: unknown, options?: EvaluationOptions): EvaluationResult
  /** Several entry points for one input, sharing one budget and what was computed already. */
  begin(input: unknown, options?: EvaluationOptions): Evaluation
}

export interface Evaluation {
  evaluate(entrypoint: string): EvaluationResult
}

export interface PolicyEngine {
  /** Never throws: what is refused comes back with its position. */
  compile(modules: readonly PolicyModule[]): CompilationResult
}

export const policyEngine: PolicyEngine = {
  compile(modules) {
    let module = ''
    try {
      const parsed: Module[] = []
      for (const { id, content } of modules) {
        module = id
        parsed.push(parseModule(id, content))
      }
      return { ok: true, bundle: bundleOf(compileProgram(parsed)) }
    } catch (error) {
      if (!(error instanceof RegoSyntaxError)) throw error
      const { line, column, message } = error
      return { ok: false, module: error.module ?? module, line, column, message }
    }
  },
}

function bundleOf(program: Program): EvaluatedBundle {
  const entrypoints = new Set<string>()
  for (const [path, { kind }] of program.groups) if (kind !== 'function') entrypoints.add(path)
  const begin = (input: unknown, options: EvaluationOptions = {}): Evaluation => {
    const evaluation = beginEvaluation(program, input, options)
    return { evaluate: (entrypoint) => resultOf(() => evaluation(entrypoint)) }
  }
  return {
    entrypoints,
    begin,
    evaluate: (entrypoint, input, options) => begin(input, options).evaluate(entrypoint),
  }
}

/** Like `begin`, with values of the language; throws `RegoEvaluationError`. */
export function beginEvaluation(
  program: Program,
  input: unknown,
  options: EvaluationOptions,
): (entrypoint: string) => Value | undefined {
  const machine = new Machine(input as Value | undefined, program.groups.size, options)
  return (entrypoint) => {
    const group = program.groups.get(entrypoint.startsWith('data.') ? entrypoint.slice(5) : entrypoint)
    if (group === undefined || group.kind === 'function') return undefined
    machine.surface()
    try {
      return readRule(group)(machine, [])
    } catch (error) {
      // The stack is a budget too.
      if (error instanceof RangeError)
        throw new RegoEvaluationError('budget', 'evaluation is nested too deeply')
      throw error
    }
  }
}

function resultOf(evaluate: () => Value | undefined): EvaluationResult {
  try {
    const value = evaluate()
    return value === undefined
      ? { ok: true, defined: false }
      : { ok: true, defined: true, value: toJson(value) }
  } catch (error) {
    if (error instanceof RegoEvaluationError) return { ok: false, kind: error.kind, message: error.message }
    const message = error instanceof Error ? error.message : 'evaluation failed'
    return { ok: false, kind: 'input', message }
  }
}
