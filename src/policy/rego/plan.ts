/**
 * Plans for statements, and bodies in an order in which every statement finds
 * its variables bound. A body for which no such order exists is unsafe.
 */
import { callOf, isCollection, iterate, slotGetter } from './closures.ts'
import { RegoSyntaxError } from './failure.ts'
import type { Continuation, Getter } from './machine.ts'
import {
  type Bound,
  type Linker,
  type PatternPlan,
  type TermPlan,
  TermPlanner,
  type TermsPlan,
  union,
} from './plan-terms.ts'
import { directTerms, type Resolution, type Variable } from './resolve.ts'
import type { Body, Statement, Term } from './syntax.ts'
import { canFit, hoistedFrom, isComputed, pairedEntries } from './term-form.ts'
import { unsafeTerms } from './unsafe.ts'
import { equalValues, weightOf } from './value.ts'

/** Statements in one body; more make ordering and the stack expensive. */
const MAX_STATEMENTS = 500

interface StatementPlan {
  readonly outputs: readonly Variable[]
  build(next: Continuation): Continuation
}

const stop: Continuation = () => true

/** Compiles the bodies of one rule into one frame layout. */
export class Planner {
  readonly #resolution: Resolution
  readonly #terms: TermPlanner

  constructor(resolution: Resolution, linker: Linker) {
    this.#resolution = resolution
    this.#terms = new TermPlanner(resolution, linker, (body, heads, bound, finish) =>
      this.body(body, heads, bound, finish),
    )
  }

  /** Slots of the frame, once everything is built. */
  get slots(): number {
    return this.#terms.slots
  }

  slot(): number {
    return this.#terms.slot()
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
    const headPlan = this.#terms.terms(heads, known)
    if (headPlan === null) throw unsafeTerms(this.#resolution, heads, known)
    return plans.reduceRight<Continuation>((next, plan) => plan.build(next), headPlan.build(finish))
  }

  /** Parameters of a function: what they bind, and the match that precedes the body. */
  parameters(terms: readonly Term[], slots: readonly number[]): StatementPlan {
    const known = new Set<Variable>()
    const plans: PatternPlan[] = []
    for (const term of terms) {
      const plan = this.#terms.pattern(term, known)
      if (plan === null) throw unsafeTerms(this.#resolution, [term], known)
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
        body[0]?.at ?? { line: 1, column: 1 },
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
    const plan = this.#terms.term(term, bound)
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
    const plan = this.#terms.terms(operands, bound)
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
            if (y === undefined) return false
            machine.tick(weightOf(x))
            return equalValues(x, y) ? next(machine, frame) : false
          }
        }),
    }
  }

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
      const call = this.#terms.callee(term)
      const operands = this.#terms.terms(term.operands, bound)
      if (operands === null || operands.outputs.length > 0) return null
      return this.#negation(operands, (getters) => callOf(call, getters))
    }
    const parts = term.kind === 'reference' ? [term.head, ...term.path] : [term]
    const hoisted = this.#terms.terms(parts.filter(isComputed), bound)
    const plan = this.#terms.term(term, bound)
    if (hoisted === null || plan === null || plan.outputs.length > 0 || plan.direct === null) return null
    const { direct } = plan
    return this.#negation(hoisted, () => direct)
  }

  #negatedEquality(left: Term, right: Term, bound: Bound): StatementPlan | null {
    const hoisted = this.#terms.terms([...hoistedFrom(left), ...hoistedFrom(right)], bound)
    const sides = this.#terms.terms([left, right], bound)
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

  #unification(left: Term, right: Term, bound: Bound): StatementPlan | null {
    if (left.kind === right.kind && (left.kind === 'array' || left.kind === 'object')) {
      const plan = this.#structural(left, right, bound)
      if (plan !== undefined) return plan
    }
    if (!canFit(left, right) || !canFit(right, left)) return this.#comparison([left, right], bound)
    const rightPlan = this.#terms.term(right, bound)
    if (rightPlan !== null) {
      const plan = this.#match(rightPlan, left, bound)
      if (plan !== null) return plan
    }
    const leftPlan = this.#terms.term(left, bound)
    return leftPlan === null ? null : this.#match(leftPlan, right, bound)
  }

  /** One side has a value, the other is a pattern. */
  #match(source: TermPlan, target: Term, bound: Bound): StatementPlan | null {
    const pattern = this.#terms.pattern(target, union(bound, source.outputs))
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
    const plans = this.#terms.inAnyOrder(pairs, bound, ([a, b], known) => this.#unification(a, b, known))
    if (plans === null) return null
    return {
      outputs: plans.flatMap((plan) => plan.outputs),
      build: (next) => plans.reduceRight<Continuation>((then, plan) => plan.build(then), next),
    }
  }

  #membership(statement: Statement & { readonly kind: 'some' }, bound: Bound): StatementPlan | null {
    const domain = this.#terms.term(statement.domain, bound)
    if (domain === null) return null
    const before = union(bound, domain.outputs)
    const key = statement.key === null ? null : this.#terms.pattern(statement.key, before)
    if (statement.key !== null && key === null) return null
    const value = this.#terms.pattern(statement.value, union(before, key?.outputs ?? []))
    if (value === null) return null
    const keySlot = this.#terms.slot()
    const valueSlot = this.#terms.slot()
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
    if (!this.#terms.isCapturedBound(statement, bound)) return null
    const domain = this.#terms.term(statement.domain, bound)
    if (domain === null) return null
    const inner = new Set(bound)
    const keySlot = this.#everySlot(statement.key, inner)
    const valueSlot = this.#everySlot(statement.value, inner)
    let body = this.#terms.closures.get(statement) as Continuation | undefined
    if (body === undefined) {
      body = this.body(statement.body, [], inner, () => stop)
      this.#terms.closures.set(statement, body)
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
    if (meaning?.kind !== 'local') return this.#terms.slot()
    bound.add(meaning.variable)
    return meaning.variable.slot
  }

  #unsafeStatement(statement: Statement, bound: Bound): RegoSyntaxError {
    if (statement.kind === 'assign')
      return unsafeTerms(this.#resolution, [statement.term, statement.target], bound)
    if (statement.kind !== 'every') return unsafeTerms(this.#resolution, directTerms(statement), bound)
    const captured = this.#resolution.captured.get(statement) ?? new Set()
    const missing = [...captured].find((variable) => !bound.has(variable))
    return missing === undefined
      ? unsafeTerms(this.#resolution, [statement.domain], bound)
      : new RegoSyntaxError(`variable ${missing.name} is unsafe`, statement.at)
  }
}
