/**
 * Plans for terms: which variables a term binds, and how its solutions are
 * found. Whether a variable is bound at a given place is known here, at compile
 * time; a term that needs a variable nobody has bound yet has no plan (`null`).
 */
import type { Builtin } from './builtins/builtin.ts'
import {
  arrayOf,
  type Call,
  callOf,
  collector,
  emptyOf,
  isObject,
  iterate,
  member,
  objectOf,
  setOf,
  slotGetter,
  walk,
} from './closures.ts'
import { constantOf } from './constant.ts'
import { type Position, RegoSyntaxError } from './failure.ts'
import type { Continuation, Getter } from './machine.ts'
import { type Resolution, unboundVariable, type Variable } from './resolve.ts'
import type { Body, Statement, Term } from './syntax.ts'
import { constantKeys } from './term-form.ts'
import { equalValues, isArray, lookup, sizeOf, type Value } from './value.ts'

/** What a rule may refer to outside itself. */
export interface Linker {
  /** The value of a rule of this package. */
  rule(name: string, at: Position): Getter
  /** The value behind a path below `data`, and how many parts of the path name it. */
  data(path: readonly Term[], at: Position): { readonly getter: Getter; readonly consumed: number }
  callee(name: string, operands: number, at: Position): Builtin | Call
}

export type Bound = ReadonlySet<Variable>

export interface TermPlan {
  /** Variables this binds, in order. */
  readonly outputs: readonly Variable[]
  /** Present when the term has exactly one solution: nothing is iterated or bound. */
  readonly direct: Getter | null
  /** For each solution, what `then` makes of its getter is run. */
  build(then: (getter: Getter) => Continuation): Continuation
}

/** Several terms together. */
export interface TermsPlan {
  readonly outputs: readonly Variable[]
  /** All getters when every term is direct. */
  readonly getters: readonly Getter[] | null
  readonly direct: boolean | null
  build(then: (getters: readonly Getter[]) => Continuation): Continuation
}

export interface PatternPlan {
  readonly outputs: readonly Variable[]
  build(value: Getter, next: () => Continuation): Continuation
}

/** Planning steps per rule: an order that is this hard to find is not what a person wrote. */
const MAX_WORK = 200_000

/** Compiles a body and the terms after it; the statements' side of the planner. */
export type BodyPlanner = (
  body: Body,
  heads: readonly Term[],
  bound: Bound,
  finish: (getters: readonly Getter[]) => Continuation,
) => Continuation

/** Plans the terms of one rule into one frame layout. */
export class TermPlanner {
  /** Closures that were compiled already, by the term or statement they belong to. */
  readonly closures = new Map<Term | Statement, Getter | Continuation>()
  readonly #resolution: Resolution
  readonly #linker: Linker
  readonly #body: BodyPlanner
  #slots: number
  #work = 0

  constructor(resolution: Resolution, linker: Linker, body: BodyPlanner) {
    this.#resolution = resolution
    this.#linker = linker
    this.#body = body
    this.#slots = resolution.slots
  }

  /** Slots of the frame, once everything is built. */
  get slots(): number {
    return this.#slots
  }

  slot(): number {
    this.#slots += 1
    return this.#slots - 1
  }

  account(at: Position): void {
    this.#work += 1
    if (this.#work > MAX_WORK) throw new RegoSyntaxError('rule is too complex', at)
  }

  isCapturedBound(closure: Term | Statement, bound: Bound): boolean {
    for (const variable of this.#resolution.captured.get(closure) ?? [])
      if (!bound.has(variable)) return false
    return true
  }

  /** `null` when the term needs a variable that is not bound. */
  term(term: Term, bound: Bound): TermPlan | null {
    this.account(term.at)
    const constant = constantOf(term)
    if (constant !== undefined) return direct(() => constant)
    switch (term.kind) {
      case 'variable':
        return this.#variable(term, bound)
      case 'reference':
        return this.#reference(term, bound)
      case 'array':
        return this.#composite(term.items, bound, arrayOf)
      case 'set':
        return this.#composite(term.items, bound, setOf)
      case 'object':
        return this.#composite(term.entries.flat(), bound, objectOf)
      case 'call': {
        const call = this.callee(term)
        return this.#composite(term.operands, bound, (getters) => callOf(call, getters))
      }
      case 'comprehension': {
        if (!this.isCapturedBound(term, bound)) return null
        return direct(this.#comprehension(term, bound))
      }
      default:
        return null
    }
  }

  /** Several terms, each solution of one with each of the others; getters in the order of the terms. */
  terms(terms: readonly Term[], bound: Bound): TermsPlan | null {
    const indexed = terms.map((term, index) => ({ term, index }))
    const plans = this.inAnyOrder(indexed, bound, ({ term, index }, known) => {
      const plan = this.term(term, known)
      return plan === null ? null : { outputs: plan.outputs, index, plan }
    })
    if (plans === null) return null
    const directs: Getter[] = []
    for (const { plan, index } of plans) if (plan.direct !== null) directs[index] = plan.direct
    const isDirect = plans.every(({ plan }) => plan.direct !== null)
    return {
      outputs: plans.flatMap(({ outputs }) => outputs),
      getters: isDirect ? directs : null,
      direct: isDirect,
      build: (then) => {
        const getters: Getter[] = []
        const step = (position: number): Continuation => {
          const entry = plans[position]
          if (entry === undefined) return then(getters)
          return entry.plan.build((getter) => {
            getters[entry.index] = getter
            return step(position + 1)
          })
        }
        return step(0)
      },
    }
  }

  #composite(
    terms: readonly Term[],
    bound: Bound,
    make: (getters: readonly Getter[]) => Getter,
  ): TermPlan | null {
    const plan = this.terms(terms, bound)
    if (plan === null) return null
    if (plan.getters !== null) return direct(make(plan.getters))
    return {
      outputs: plan.outputs,
      direct: null,
      build: (then) => plan.build((getters) => then(make(getters))),
    }
  }

  #variable(term: Term & { readonly kind: 'variable' }, bound: Bound): TermPlan | null {
    const meaning = this.#resolution.meanings.get(term)
    switch (meaning?.kind) {
      case 'local':
        return bound.has(meaning.variable) ? direct(slotGetter(meaning.variable.slot)) : null
      case 'input':
        return direct((machine) => machine.input)
      case 'rule':
        return direct(this.#linker.rule(meaning.name, term.at))
      default:
        throw new RegoSyntaxError('data can only be used with a path to a rule', term.at)
    }
  }

  #reference(term: Term & { readonly kind: 'reference' }, bound: Bound): TermPlan | null {
    let { path } = term
    let head: TermPlan | null
    const meaning = this.#resolution.meanings.get(term.head)
    if (meaning?.kind === 'data') {
      const { getter, consumed } = this.#linker.data(path, term.at)
      head = direct(getter)
      path = path.slice(consumed)
    } else {
      head = this.term(term.head, bound)
    }
    if (head === null) return null
    const keys = constantKeys(path)
    if (keys !== null && head.direct !== null)
      return direct(walk(head.direct, keys, meaning?.kind === 'input'))
    return this.#path(head, path, bound)
  }

  /** A path with computed or unbound parts: each unbound part visits every entry. */
  #path(head: TermPlan, path: readonly Term[], bound: Bound): TermPlan | null {
    const known = new Set(bound)
    const outputs: Variable[] = [...head.outputs]
    for (const output of head.outputs) known.add(output)
    const steps: PathStep[] = []
    for (const part of path) {
      const plan = this.term(part, known)
      if (plan !== null) {
        for (const output of plan.outputs) known.add(output)
        outputs.push(...plan.outputs)
        steps.push({ key: plan })
        continue
      }
      const pattern = this.pattern(part, known)
      if (pattern === null) return null
      for (const output of pattern.outputs) known.add(output)
      outputs.push(...pattern.outputs)
      steps.push({ pattern, keySlot: this.slot(), valueSlot: this.slot() })
    }
    if (head.direct !== null && steps.every((step) => 'key' in step && step.key.direct !== null)) {
      let getter = head.direct
      for (const step of steps)
        if ('key' in step && step.key.direct !== null) getter = member(getter, step.key.direct)
      return direct(getter)
    }
    return {
      outputs,
      direct: null,
      build: (then) => {
        const from = (index: number, base: Getter): Continuation => {
          const step = steps[index]
          if (step === undefined) return then(base)
          if ('key' in step) return step.key.build((key) => from(index + 1, member(base, key)))
          const { pattern, keySlot, valueSlot } = step
          const match = pattern.build(slotGetter(keySlot), () => from(index + 1, slotGetter(valueSlot)))
          return iterate(base, keySlot, valueSlot, match)
        }
        return head.build((base) => from(0, base))
      },
    }
  }

  callee(term: Term & { readonly kind: 'call' }): Call {
    const callee = this.#linker.callee(term.name, term.operands.length, term.at)
    return typeof callee === 'function' ? callee : callee.call
  }

  #comprehension(term: Term & { readonly kind: 'comprehension' }, bound: Bound): Getter {
    const made = this.closures.get(term) as Getter | undefined
    if (made !== undefined) return made
    const slot = this.slot()
    const heads = term.key === null ? [term.value] : [term.key, term.value]
    const run = this.#body(term.body, heads, bound, (getters) => collector(term.shape, getters, slot))
    const getter: Getter = (machine, frame) => {
      frame[slot] = emptyOf(term.shape)
      run(machine, frame)
      return frame[slot] as Value
    }
    this.closures.set(term, getter)
    return getter
  }

  /** Where a value is expected: unbound variables take it, everything else must equal it. */
  pattern(term: Term, bound: Bound): PatternPlan | null {
    this.account(term.at)
    const variable = unboundVariable(this.#resolution, term, bound)
    if (variable !== null) {
      const { slot } = variable
      return {
        outputs: [variable],
        build: (value, next) => {
          const then = next()
          return (machine, frame) => {
            const taken = value(machine, frame)
            if (taken === undefined) return false
            frame[slot] = taken
            return then(machine, frame)
          }
        },
      }
    }
    if (term.kind === 'array' && constantOf(term) === undefined) return this.#arrayPattern(term.items, bound)
    if (term.kind === 'object' && constantOf(term) === undefined)
      return this.#objectPattern(term.entries, bound)
    const plan = this.term(term, bound)
    if (plan === null) return null
    return {
      outputs: plan.outputs,
      build: (value, next) => {
        const then = next()
        return plan.build((getter) => (machine, frame) => {
          const expected = getter(machine, frame)
          const actual = expected === undefined ? undefined : value(machine, frame)
          if (expected === undefined || actual === undefined) return false
          return equalValues(expected, actual) ? then(machine, frame) : false
        })
      },
    }
  }

  /** The items of one pattern, in an order in which each finds its variables bound. */
  #patterns(items: readonly Term[], bound: Bound) {
    const indexed = items.map((item, index) => ({ item, index }))
    return this.inAnyOrder(indexed, bound, ({ item, index }, known) => {
      const plan = this.pattern(item, known)
      return plan === null ? null : { outputs: plan.outputs, index, plan }
    })
  }

  #arrayPattern(items: readonly Term[], bound: Bound): PatternPlan | null {
    const plans = this.#patterns(items, bound)
    if (plans === null) return null
    const slot = this.slot()
    return {
      outputs: plans.flatMap(({ outputs }) => outputs),
      build: (value, next) => {
        const matched = plans.reduceRight<() => Continuation>(
          (then, { plan, index }) =>
            () =>
              plan.build((_machine, frame) => (frame[slot] as readonly Value[])[index], then),
          next,
        )()
        return (machine, frame) => {
          const taken = value(machine, frame)
          if (taken === undefined || !isArray(taken) || taken.length !== items.length) return false
          frame[slot] = taken
          return matched(machine, frame)
        }
      },
    }
  }

  #objectPattern(entries: readonly (readonly [Term, Term])[], bound: Bound): PatternPlan | null {
    const keys = this.terms(
      entries.map(([key]) => key),
      bound,
    )
    if (keys === null || keys.getters === null) return null
    const { getters } = keys
    const plans = this.#patterns(
      entries.map(([, item]) => item),
      bound,
    )
    if (plans === null) return null
    const slot = this.slot()
    return {
      outputs: plans.flatMap(({ outputs }) => outputs),
      build: (value, next) => {
        const matched = plans.reduceRight<() => Continuation>(
          (then, { plan, index }) =>
            () =>
              plan.build((machine, frame) => {
                const key = getters[index]?.(machine, frame)
                return key === undefined ? undefined : lookup(frame[slot] as Value, key)
              }, then),
          next,
        )()
        return (machine, frame) => {
          const taken = value(machine, frame)
          if (taken === undefined || !isObject(taken) || sizeOf(taken) !== entries.length) return false
          frame[slot] = taken
          return matched(machine, frame)
        }
      },
    }
  }

  /** Plans items repeatedly, each as soon as its variables are bound; `null` when some never are. */
  inAnyOrder<Item, Plan extends { readonly outputs: readonly Variable[] }>(
    items: readonly Item[],
    bound: Bound,
    planOf: (item: Item, known: Bound) => Plan | null,
  ): Plan[] | null {
    const known = new Set(bound)
    const plans: Plan[] = []
    let waiting = items
    while (waiting.length > 0) {
      const unplaced: Item[] = []
      for (const item of waiting) {
        const plan = planOf(item, known)
        if (plan === null) unplaced.push(item)
        else {
          plans.push(plan)
          for (const output of plan.outputs) known.add(output)
        }
      }
      if (unplaced.length === waiting.length) return null
      waiting = unplaced
    }
    return plans
  }
}

type PathStep =
  | { readonly key: TermPlan }
  | { readonly pattern: PatternPlan; readonly keySlot: number; readonly valueSlot: number }

function direct(getter: Getter): TermPlan {
  return { outputs: [], direct: getter, build: (then) => then(getter) }
}

export function union(bound: Bound, outputs: readonly Variable[]): Bound {
  return outputs.length === 0 ? bound : new Set([...bound, ...outputs])
}
