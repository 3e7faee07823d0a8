/**
 * The state of one evaluation: its input, what was computed already, and the
 * budget. Steps count statements, iterations and the work of built-ins, so a
 * runaway policy ends the same way on every machine. The wall clock is only
 * looked at when the caller hands one in.
 */
import { RegoEvaluationError } from './failure.ts'
import type { Value } from './value.ts'

/** Statements, iterations and units of built-in work per evaluation (sts §16.4). */
export const STEP_BUDGET = 100_000
/** Rules and functions that may be open at once. */
export const DEPTH_BUDGET = 64
/** Milliseconds per evaluation, with an injected clock. */
export const TIME_BUDGET_MS = 50

const STEPS_BETWEEN_CLOCK_READINGS = 1024

export interface EvaluationOptions {
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export class Machine {
  readonly input: Value | undefined
  /** Values of rules without parameters, by rule index; `null` stands for undefined. */
  readonly cache: ({ readonly value: Value | undefined } | undefined)[]
  steps = 0
  /** The number of steps at which `tick` has to look. */
  #limit: number
  #depth = 0
  readonly #now: (() => number) | undefined
  readonly #deadline: number

  constructor(input: Value | undefined, rules: number, options: EvaluationOptions) {
    this.input = input
    this.cache = new Array(rules)
    this.#now = options.now
    this.#deadline = this.#now === undefined ? 0 : this.#now() + TIME_BUDGET_MS
    this.#limit = this.#now === undefined ? STEP_BUDGET : STEPS_BETWEEN_CLOCK_READINGS
  }

  /** Accounts for `cost` steps. */
  tick(cost = 1): void {
    this.steps += cost
    if (this.steps > this.#limit) this.#check()
  }

  /** Begins at the outside again, after an answer or a failure; what was spent stays spent. */
  surface(): void {
    this.#depth = 0
  }

  enter(): void {
    this.#depth += 1
    if (this.#depth > DEPTH_BUDGET) {
      throw new RegoEvaluationError('budget', `evaluation is nested deeper than ${DEPTH_BUDGET} rules`)
    }
  }

  leave(): void {
    this.#depth -= 1
  }

  #check(): void {
    if (this.steps > STEP_BUDGET) {
      throw new RegoEvaluationError('budget', `evaluation took more than ${STEP_BUDGET} steps`)
    }
    if (this.#now !== undefined && this.#now() > this.#deadline) {
      throw new RegoEvaluationError('budget', `evaluation took more than ${TIME_BUDGET_MS} ms`)
    }
    this.#limit = Math.min(STEP_BUDGET, this.steps + STEPS_BETWEEN_CLOCK_READINGS)
  }
}

/** Local variables and intermediate results of one open rule. */
export type Frame = unknown[]

/** Goes on with an evaluation; `true` means that no further solution is wanted. */
export type Continuation = (machine: Machine, frame: Frame) => boolean

/** `undefined` is the undefined of the language. */
export type Getter = (machine: Machine, frame: Frame) => Value | undefined
