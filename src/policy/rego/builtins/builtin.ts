/** What a built-in function is to the evaluator. */
import type { Machine } from '../machine.ts'
import type { Value } from '../value.ts'

/**
 * Pure. Operands that do not fit make the result undefined, as does an error
 * inside; work beyond a constant is accounted for on the machine before it is done.
 */
export interface Builtin {
  readonly arity: number
  call(machine: Machine, operands: readonly Value[]): Value | undefined
}

export function unary(call: (value: Value, machine: Machine) => Value | undefined): Builtin {
  return { arity: 1, call: (machine, [value]) => call(value as Value, machine) }
}

export function binary(call: (left: Value, right: Value, machine: Machine) => Value | undefined): Builtin {
  return { arity: 2, call: (machine, [left, right]) => call(left as Value, right as Value, machine) }
}

/** Units of work for a text: one per 16 characters. */
export function textCost(length: number): number {
  return 1 + (length >> 4)
}
