/**
 * Rules → closures. Every term and statement becomes a plan: which variables it
 * binds, and how to build the closure that finds its solutions and goes on.
 * Whether a variable is bound at a given place is known here, at compile time;
 * a plan that needs a variable nobody has bound yet does not exist (`null`), and
 * a body for which no order of plans exists is unsafe.
 */
import type { Builtin } from './builtins/builtin.ts'
import { constantOf } from './constant.ts'
import { type Position, RegoEvaluationError, RegoSyntaxError } from './failure.ts'
import type { Continuation, Frame, Getter, Machine } from './machine.ts'
import { directTerms, type Resolution, type Variable, visitDirect } from './resolve.ts'
import type { Body, Statement, Term } from './syntax.ts'
import {
  entriesOf,
  equalValues,
  identityOf,
  isArray,
  lookup,
  memberOf,
  type PlainObject,
  RegoObject,
  RegoSet,
  sizeOf,
  type Value,
} from './value.ts'
import { visitTerm } from './walk.ts'

/** Statements in one body; more make ordering and the stack expensive. */
const MAX_STATEMENTS = 500

/** What a rule may refer to outside itself. */
export interface Linker {
  /** The value of a rule of this package. */
  rule(name: string, at: Position): Getter
  /** The value behind a path below `data`, and how many parts of the path name it. */
  data(path: readonly Term[], at: Position): { readonly getter: Getter; readonly consumed: number }
  callee(name: string, operands: number, at: Position): Builtin | Call
}

type Call = (machine: Machine, operands: readonly Value[]) => Value | undefined

type Bound = ReadonlySet<Variable>

export interface TermPlan {
  /** Variables this binds, in order. */
  readonly outputs: readonly Variable[]
  /** Present when the term has exactly one solution: nothing is iterated or bound. */
  readonly direct: Getter | null
  /** For each solution, what `then` makes of its getter is run. */
  build(then: (getter: Getter) => Continuation): Continuation
}

interface StatementPlan {
  readonly outputs: readonly Variable[]
  build(next: Continuation): Continuation
}

interface PatternPlan {
  readonly outputs: readonly Variable[]
  build(value: Getter, next: () => Continuation): Continuation
}

/** Planning steps per rule: an order that is this hard to find is not what a person wrote. */
const MAX_WORK = 200_000

const stop: Continuation = () => true

/** Compiles the bodies of one rule into one frame layout. */
export class Planner {
  readonly #resolution: Resolution
  readonly #linker: Linker
  readonly #closures = new Map<Term | Statement, Getter | Continuation>()
  #slots: number
  #work = 0

  constructor(resolution: Resolution, linker: Linker) {
    this.#resolution = resolution
    this.#linker = linker
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

  /**
   * The body, then its head terms in one solution each. `finish` gets the
   * getters of the heads. Throws when a variable is unsafe.
   */
  body(
    body: Body,
    heads: readonly Term[],
    bound: Bound,
    finish: (getters: readonly Getter[]) => Continuation,
  ): Continuation {
    const plans = this.#order(body, bound)
    const known = new Set(bound)
    for (const plan of plans) for (const output of plan.outputs) known.add(output)
    const headPlan = this.terms(heads, known)
    if (headPlan === null) throw this.#unsafe(heads, known)
    return plans.reduceRight<Continuation>((next, plan) => plan.build(next), headPlan.build(finish))
  }

  /** Parameters of a function: what they bind, and the match that precedes the body. */
  parameters(terms: readonly Term[], slots: readonly number[]): StatementPlan {
    const known = new Set<Variable>()
    const plans: PatternPlan[] = []
    for (const term of terms) {
      const plan = this.#pattern(term, known)
      if (plan === null) throw this.#unsafe([term], known)
      for (const output of plan.outputs) known.add(output)
      plans.push(plan)
    }
    return {
      outputs: [...known],
      build: (next) =>
        plans.reduceRight<Continuation>(
          (then, plan, index) => plan.build(slotGetter(slots[index] ?? 0), () => then),
          next,
        ),
    }
  }

  /** Places statements in the first order in which each finds its variables bound. */
  #order(body: Body, bound: Bound): readonly StatementPlan[] {
    if (body.length > MAX_STATEMENTS) {
      throw new RegoSyntaxError(
        `a body may have at most ${MAX_STATEMENTS} statements`,
        body[0]?.at ?? nowhere,
      )
    }
    const known = new Set(bound)
    const plans: StatementPlan[] = []
    let waiting: readonly Statement[] = body
    while (waiting.length > 0) {
      const unplaced: Statement[] = []
      for (const statement of waiting) {
        const plan = this.#statement(statement, known)
        if (plan === null) {
          unplaced.push(statement)
          continue
        }
        plans.push(plan)
        for (const output of plan.outputs) known.add(output)
      }
      if (unplaced.length === waiting.length) throw this.#unsafeStatement(unplaced[0] as Statement, known)
      waiting = unplaced
    }
    return plans
  }

  #statement(statement: Statement, bound: Bound): StatementPlan | null {
    switch (statement.kind) {
      case 'declare':
        return { outputs: [], build: (next) => next }
      case 'term':
        return statement.negated
          ? this.#negatedTerm(statement.term, bound)
          : this.#condition(statement.term, bound)
      case 'assign':
        return this.#unification(statement.target, statement.term, bound)
      case 'unify':
        return statement.negated
          ? this.#negatedEquality(statement.left, statement.right, bound)
          : this.#unification(statement.left, statement.right, bound)
      case 'some':
        return this.#membership(statement, bound)
      default:
        return this.#every(statement, bound)
    }
  }

  /** Holds for every solution that is neither false nor undefined. */
  #condition(term: Term, bound: Bound): StatementPlan | null {
    if (term.kind === 'call' && term.name === '==') return this.#comparison(term.operands, bound)
    const plan = this.term(term, bound)
    if (plan === null) return null
    return {
      outputs: plan.outputs,
      build: (next) =>
        plan.build((getter) => (machine, frame) => {
          machine.tick()
          const value = getter(machine, frame)
          return value !== undefined && value !== false ? next(machine, frame) : false
        }),
    }
  }

  #comparison(operands: readonly Term[], bound: Bound): StatementPlan | null {
    const plan = this.terms(operands, bound)
    if (plan === null) return null
    return {
      outputs: plan.outputs,
      build: (next) =>
        plan.build(([left, right]) => {
          const a = left as Getter
          const b = right as Getter
          return (machine, frame) => {
            machine.tick()
            const x = a(machine, frame)
            if (x === undefined) return false
            const y = b(machine, frame)
            return y !== undefined && equalValues(x, y) ? next(machine, frame) : false
          }
        }),
    }
  }

  // Negation

  /**
   * Operands of a negated call are evaluated outside of the negation: where one
   * is undefined, so is the whole statement. Only the call itself is negated.
   */
  #negatedTerm(term: Term, bound: Bound): StatementPlan | null {
    if (term.kind === 'call' && term.name === '==') {
      const [left, right] = term.operands
      return this.#negatedEquality(left as Term, right as Term, bound)
    }
    if (term.kind === 'call') {
      const call = this.#callee(term)
      const operands = this.terms(term.operands, bound)
      if (operands === null || operands.outputs.length > 0) return null
      return this.#negation(operands, (getters) => callOf(call, getters))
    }
    const parts = term.kind === 'reference' ? [term.head, ...term.path] : [term]
    const hoisted = this.terms(parts.filter(isComputed), bound)
    const plan = this.term(term, bound)
    if (hoisted === null || plan === null || plan.outputs.length > 0 || plan.direct === null) return null
    const { direct } = plan
    return this.#negation(hoisted, () => direct)
  }

  #negatedEquality(left: Term, right: Term, bound: Bound): StatementPlan | null {
    const hoisted = this.terms([...hoistedFrom(left), ...hoistedFrom(right)], bound)
    const sides = this.terms([left, right], bound)
    if (hoisted === null || sides === null || sides.outputs.length > 0 || sides.direct === null) return null
    const [a, b] = sides.getters ?? []
    return this.#negation(hoisted, () => (machine, frame) => {
      const x = a?.(machine, frame)
      const y = b?.(machine, frame)
      return x === undefined || y === undefined ? undefined : equalValues(x, y)
    })
  }

  #negation(defined: TermsPlan, test: (getters: readonly Getter[]) => Getter): StatementPlan {
    return {
      outputs: [],
      build: (next) =>
        defined.build((getters) => {
          const tested = test(getters)
          return (machine, frame) => {
            machine.tick()
            for (const getter of getters) if (getter(machine, frame) === undefined) return false
            const value = tested(machine, frame)
            return value === undefined || value === false ? next(machine, frame) : false
          }
        }),
    }
  }

  // Unification

  #unification(left: Term, right: Term, bound: Bound): StatementPlan | null {
    if (left.kind === right.kind && (left.kind === 'array' || left.kind === 'object')) {
      const plan = this.#structural(left, right, bound)
      if (plan !== undefined) return plan
    }
    if (!canFit(left, right) || !canFit(right, left)) return this.#comparison([left, right], bound)
    const rightPlan = this.term(right, bound)
    if (rightPlan !== null) {
      const plan = this.#match(rightPlan, left, bound)
      if (plan !== null) return plan
    }
    const leftPlan = this.term(left, bound)
    return leftPlan === null ? null : this.#match(leftPlan, right, bound)
  }

  /** One side has a value, the other is a pattern. */
  #match(source: TermPlan, target: Term, bound: Bound): StatementPlan | null {
    const pattern = this.#pattern(target, union(bound, source.outputs))
    if (pattern === null) return null
    return {
      outputs: [...source.outputs, ...pattern.outputs],
      build: (next) =>
        source.build((getter) => {
          const matched = pattern.build(getter, () => next)
          return (machine, frame) => {
            machine.tick()
            return matched(machine, frame)
          }
        }),
    }
  }

  /** Two arrays of one length, or two objects with the same constant keys, part by part; `undefined` for others. */
  #structural(left: Term, right: Term, bound: Bound): StatementPlan | null | undefined {
    let pairs: (readonly [Term, Term])[] | null = null
    if (left.kind === 'array' && right.kind === 'array' && left.items.length === right.items.length) {
      pairs = left.items.map((item, index) => [item, right.items[index] as Term])
    } else if (left.kind === 'object' && right.kind === 'object') {
      pairs = pairedEntries(left, right)
    }
    if (pairs === null) return undefined
    const plans = this.#inAnyOrder(pairs, bound, ([a, b], known) => this.#unification(a, b, known))
    if (plans === null) return null
    return {
      outputs: plans.flatMap((plan) => plan.outputs),
      build: (next) => plans.reduceRight<Continuation>((then, plan) => plan.build(then), next),
    }
  }

  /** Where a value is expected: unbound variables take it, everything else must equal it. */
  #pattern(term: Term, bound: Bound): PatternPlan | null {
    this.#account(term.at)
    const variable = this.#unbound(term, bound)
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

  #arrayPattern(items: readonly Term[], bound: Bound): PatternPlan | null {
    const indexed = items.map((item, index) => ({ item, index }))
    const plans = this.#inAnyOrder(indexed, bound, ({ item, index }, known) => {
      const plan = this.#pattern(item, known)
      return plan === null ? null : { outputs: plan.outputs, index, plan }
    })
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
    const indexed = entries.map(([, item], index) => ({ item, index }))
    const plans = this.#inAnyOrder(indexed, bound, ({ item, index }, known) => {
      const plan = this.#pattern(item, known)
      return plan === null ? null : { outputs: plan.outputs, index, plan }
    })
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

  // Iteration

  #membership(statement: Statement & { readonly kind: 'some' }, bound: Bound): StatementPlan | null {
    const domain = this.term(statement.domain, bound)
    if (domain === null) return null
    const before = union(bound, domain.outputs)
    const key = statement.key === null ? null : this.#pattern(statement.key, before)
    if (statement.key !== null && key === null) return null
    const value = this.#pattern(statement.value, union(before, key?.outputs ?? []))
    if (value === null) return null
    const keySlot = this.slot()
    const valueSlot = this.slot()
    return {
      outputs: [...domain.outputs, ...(key?.outputs ?? []), ...value.outputs],
      build: (next) =>
        domain.build((getter) => {
          const valueMatch = value.build(slotGetter(valueSlot), () => next)
          const match = key === null ? valueMatch : key.build(slotGetter(keySlot), () => valueMatch)
          return iterate(getter, keySlot, valueSlot, match)
        }),
    }
  }

  /** `every` over something that is no collection does not hold. */
  #every(statement: Statement & { readonly kind: 'every' }, bound: Bound): StatementPlan | null {
    if (!this.#isCapturedBound(statement, bound)) return null
    const domain = this.term(statement.domain, bound)
    if (domain === null) return null
    const inner = new Set(bound)
    const keySlot = this.#everySlot(statement.key, inner)
    const valueSlot = this.#everySlot(statement.value, inner)
    let body = this.#closures.get(statement) as Continuation | undefined
    if (body === undefined) {
      body = this.body(statement.body, [], inner, () => stop)
      this.#closures.set(statement, body)
    }
    const holds = body
    const counterexample: Continuation = (machine, frame) => !holds(machine, frame)
    return {
      outputs: domain.outputs,
      build: (next) =>
        domain.build((getter) => {
          const search = iterate(getter, keySlot, valueSlot, counterexample)
          return (machine, frame) => {
            const collection = getter(machine, frame)
            if (collection === undefined || !isCollection(collection)) return false
            return search(machine, frame) ? false : next(machine, frame)
          }
        }),
    }
  }

  #everySlot(term: Term | null, bound: Set<Variable>): number {
    const meaning = term === null ? undefined : this.#resolution.meanings.get(term)
    if (meaning?.kind !== 'local') return this.slot()
    bound.add(meaning.variable)
    return meaning.variable.slot
  }

  // Terms

  /** `null` when the term needs a variable that is not bound. */
  term(term: Term, bound: Bound): TermPlan | null {
    this.#account(term.at)
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
        const call = this.#callee(term)
        return this.#composite(term.operands, bound, (getters) => callOf(call, getters))
      }
      case 'comprehension': {
        if (!this.#isCapturedBound(term, bound)) return null
        return direct(this.#comprehension(term, bound))
      }
      default:
        return null
    }
  }

  /** Several terms, each solution of one with each of the others; getters in the order of the terms. */
  terms(terms: readonly Term[], bound: Bound): TermsPlan | null {
    const indexed = terms.map((term, index) => ({ term, index }))
    const plans = this.#inAnyOrder(indexed, bound, ({ term, index }, known) => {
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

  #unbound(term: Term, bound: Bound): Variable | null {
    const meaning = this.#resolution.meanings.get(term)
    return meaning?.kind === 'local' && !bound.has(meaning.variable) ? meaning.variable : null
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
      const pattern = this.#pattern(part, known)
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

  #callee(term: Term & { readonly kind: 'call' }): Call {
    const callee = this.#linker.callee(term.name, term.operands.length, term.at)
    return typeof callee === 'function' ? callee : callee.call
  }

  #comprehension(term: Term & { readonly kind: 'comprehension' }, bound: Bound): Getter {
    const made = this.#closures.get(term) as Getter | undefined
    if (made !== undefined) return made
    const slot = this.slot()
    const heads = term.key === null ? [term.value] : [term.key, term.value]
    const run = this.body(term.body, heads, bound, (getters) => collector(term.shape, getters, slot))
    const getter: Getter = (machine, frame) => {
      frame[slot] = emptyOf(term.shape)
      run(machine, frame)
      return frame[slot] as Value
    }
    this.#closures.set(term, getter)
    return getter
  }

  #isCapturedBound(closure: Term | Statement, bound: Bound): boolean {
    for (const variable of this.#resolution.captured.get(closure) ?? [])
      if (!bound.has(variable)) return false
    return true
  }

  /** Plans items repeatedly, each as soon as its variables are bound; `null` when some never are. */
  #inAnyOrder<Item, Plan extends { readonly outputs: readonly Variable[] }>(
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

  #unsafeStatement(statement: Statement, bound: Bound): RegoSyntaxError {
    if (statement.kind === 'assign') return this.#unsafe([statement.term, statement.target], bound)
    if (statement.kind !== 'every') return this.#unsafe(directTerms(statement), bound)
    const captured = this.#resolution.captured.get(statement) ?? new Set()
    const missing = [...captured].find((variable) => !bound.has(variable))
    return missing === undefined
      ? this.#unsafe([statement.domain], bound)
      : new RegoSyntaxError(`variable ${missing.name} is unsafe`, statement.at)
  }

  /** The refusal for terms that cannot be evaluated, at the first variable to blame. */
  #unsafe(terms: readonly Term[], bound: Bound): RegoSyntaxError {
    let at: Position = terms[0]?.at ?? nowhere
    let name: string | null = null
    const blame = (inner: Term, variables: Bound | null): void => {
      const variable = name === null ? this.#unbound(inner, bound) : null
      if (variable === null || (variables !== null && !variables.has(variable))) return
      name = variable.name.startsWith('_#') ? '_' : variable.name
      at = inner.at
    }
    for (const term of terms) {
      visitDirect(term, (inner) => blame(inner, null))
      visitTerm(term, (closure) => {
        const captured = this.#resolution.captured.get(closure)
        if (captured !== undefined) visitTerm(closure, (inner) => blame(inner, captured))
      })
    }
    return new RegoSyntaxError(name === null ? 'expression is unsafe' : `variable ${name} is unsafe`, at)
  }

  #account(at: Position): void {
    this.#work += 1
    if (this.#work > MAX_WORK) throw new RegoSyntaxError('rule is too complex', at)
  }
}

type PathStep =
  | { readonly key: TermPlan }
  | { readonly pattern: PatternPlan; readonly keySlot: number; readonly valueSlot: number }

export interface TermsPlan {
  readonly outputs: readonly Variable[]
  /** All getters when every term is direct. */
  readonly getters: readonly Getter[] | null
  readonly direct: boolean | null
  build(then: (getters: readonly Getter[]) => Continuation): Continuation
}

const nowhere: Position = { line: 1, column: 1 }

function direct(getter: Getter): TermPlan {
  return { outputs: [], direct: getter, build: (then) => then(getter) }
}

function slotGetter(slot: number): Getter {
  return (_machine, frame) => frame[slot] as Value | undefined
}

function union(bound: Bound, outputs: readonly Variable[]): Bound {
  return outputs.length === 0 ? bound : new Set([...bound, ...outputs])
}

/** Runs `match` for each entry of a collection, key and value in their slots; nothing for anything else. */
function iterate(collection: Getter, keySlot: number, valueSlot: number, match: Continuation): Continuation {
  return (machine, frame) => {
    const value = collection(machine, frame)
    if (typeof value !== 'object' || value === null) return false
    if (isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        machine.tick()
        frame[keySlot] = index
        frame[valueSlot] = value[index]
        if (match(machine, frame)) return true
      }
      return false
    }
    if (value instanceof RegoSet) {
      for (const element of value.sorted) {
        machine.tick()
        frame[keySlot] = element
        frame[valueSlot] = element
        if (match(machine, frame)) return true
      }
      return false
    }
    if (!isObject(value)) return false
    for (const [key, element] of entriesOf(value)) {
      machine.tick()
      frame[keySlot] = key
      frame[valueSlot] = element
      if (match(machine, frame)) return true
    }
    return false
  }
}

function isObject(value: Value): value is PlainObject | RegoObject {
  if (typeof value !== 'object' || value === null || isArray(value)) return false
  return value instanceof RegoObject || !(value instanceof RegoSet || 'digits' in value)
}

function isCollection(value: Value): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (isArray(value) || value instanceof RegoSet || isObject(value))
  )
}

/** A call whose undefined operands make it undefined. */
function callOf(call: Call, getters: readonly Getter[]): Getter {
  const [first, second] = getters
  if (getters.length === 1 && first !== undefined) {
    return (machine, frame) => {
      const a = first(machine, frame)
      return a === undefined ? undefined : call(machine, [a])
    }
  }
  if (getters.length === 2 && first !== undefined && second !== undefined) {
    return (machine, frame) => {
      const a = first(machine, frame)
      if (a === undefined) return undefined
      const b = second(machine, frame)
      return b === undefined ? undefined : call(machine, [a, b])
    }
  }
  return (machine, frame) => {
    const operands: Value[] = []
    for (const getter of getters) {
      const operand = getter(machine, frame)
      if (operand === undefined) return undefined
      operands.push(operand)
    }
    return call(machine, operands)
  }
}

function member(collection: Getter, key: Getter): Getter {
  return (machine, frame) => {
    const base = collection(machine, frame)
    if (base === undefined) return undefined
    const part = key(machine, frame)
    return part === undefined ? undefined : lookup(base, part)
  }
}

function constantKeys(path: readonly Term[]): readonly Value[] | null {
  const keys: Value[] = []
  for (const part of path) {
    const key = constantOf(part)
    if (key === undefined) return null
    keys.push(key)
  }
  return keys
}

function walk(head: Getter, keys: readonly Value[], fromInput: boolean): Getter {
  if (fromInput && keys.every((key) => typeof key === 'string')) return inputPath(keys as readonly string[])
  return (machine, frame) => {
    let value = head(machine, frame)
    for (const key of keys) {
      if (value === undefined) return undefined
      value = lookup(value, key)
    }
    return value
  }
}

/** `input.a.b`: the input is plain JSON, so members are looked up without asking what they are. */
function inputPath(keys: readonly string[]): Getter {
  return (machine) => {
    let value = machine.input
    for (const key of keys) {
      if (typeof value !== 'object' || value === null || isArray(value)) return undefined
      value = memberOf(value as PlainObject, key)
    }
    return value
  }
}

function arrayOf(getters: readonly Getter[]): Getter {
  return (machine, frame) => {
    const items: Value[] = []
    for (const getter of getters) {
      const item = getter(machine, frame)
      if (item === undefined) return undefined
      items.push(item)
    }
    return items
  }
}

function setOf(getters: readonly Getter[]): Getter {
  return (machine, frame) => {
    const set = new RegoSet()
    for (const getter of getters) {
      const element = getter(machine, frame)
      if (element === undefined) return undefined
      set.add(element)
    }
    return set
  }
}

/** Getters alternate between keys and values. */
function objectOf(getters: readonly Getter[]): Getter {
  return (machine, frame) => {
    const object = new RegoObject()
    for (let index = 0; index < getters.length; index += 2) {
      const key = getters[index]?.(machine, frame)
      const value = key === undefined ? undefined : getters[index + 1]?.(machine, frame)
      if (key === undefined || value === undefined) return undefined
      insert(object, key, value)
    }
    return object
  }
}

/** Adds an entry; two different values for one key are a conflict. */
export function insert(object: RegoObject, key: Value, value: Value): void {
  const earlier = object.get(key)
  if (earlier === undefined) object.set(key, value)
  else if (!equalValues(earlier, value)) {
    throw new RegoEvaluationError('conflict', 'object keys must be unique')
  }
}

type Shape = 'array' | 'set' | 'object'

function emptyOf(shape: Shape): Value[] | RegoSet | RegoObject {
  if (shape === 'array') return []
  return shape === 'set' ? new RegoSet() : new RegoObject()
}

function collector(shape: Shape, getters: readonly Getter[], slot: number): Continuation {
  const [first, second] = getters
  return (machine: Machine, frame: Frame) => {
    machine.tick()
    const left = first?.(machine, frame)
    if (left === undefined) return false
    if (shape === 'array') (frame[slot] as Value[]).push(left)
    else if (shape === 'set') (frame[slot] as RegoSet).add(left)
    else {
      const right = second?.(machine, frame)
      if (right !== undefined) insert(frame[slot] as RegoObject, left, right)
    }
    return false
  }
}

/** Whether a value of `source` could match an array or object written as `pattern`; others always could. */
function canFit(pattern: Term, source: Term): boolean {
  if (pattern.kind !== 'array' && pattern.kind !== 'object') return true
  if (source.kind === 'comprehension') return source.shape === pattern.kind
  return source.kind === 'variable' || source.kind === 'reference' || source.kind === 'call'
}

/** Parts that are evaluated before a negated equality, and must be defined for it to hold. */
function hoistedFrom(term: Term): readonly Term[] {
  if (term.kind === 'reference') return [term.head, ...term.path].filter(isComputed)
  return isComputed(term) ? [term] : []
}

function isComputed(term: Term): boolean {
  return term.kind !== 'scalar' && term.kind !== 'variable'
}

function pairedEntries(
  left: Term & { readonly kind: 'object' },
  right: Term & { readonly kind: 'object' },
): (readonly [Term, Term])[] | null {
  const values = new Map<unknown, Term>()
  for (const [key, value] of right.entries) {
    const constant = constantOf(key)
    if (constant === undefined) return null
    values.set(identityOf(constant), value)
  }
  const pairs: (readonly [Term, Term])[] = []
  for (const [key, value] of left.entries) {
    const constant = constantOf(key)
    const other = constant === undefined ? undefined : values.get(identityOf(constant))
    if (other === undefined) return null
    pairs.push([value, other])
  }
  return left.entries.length === right.entries.length ? pairs : null
}
