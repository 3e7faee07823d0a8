/** Comparison, arithmetic, set operators and membership. */
import { add, divide, multiply, remainder, subtract } from '../arithmetic.ts'
import type { Machine } from '../machine.ts'
import type { Numeric } from '../number.ts'
import {
  compareValues,
  entriesOf,
  equalValues,
  isArray,
  isNumber,
  isPlainObject,
  lookup,
  RegoObject,
  RegoSet,
  type Value,
  weightOf,
} from '../value.ts'
import { type Builtin, binary } from './builtin.ts'

export const operators: Readonly<Record<string, Builtin>> = {
  '==': comparing((left, right) => equalValues(left, right)),
  '!=': comparing((left, right) => !equalValues(left, right)),
  '<': comparing((left, right) => compareValues(left, right) < 0),
  '<=': comparing((left, right) => compareValues(left, right) <= 0),
  '>': comparing((left, right) => compareValues(left, right) > 0),
  '>=': comparing((left, right) => compareValues(left, right) >= 0),
  '+': numeric(add),
  '*': numeric(multiply),
  '/': numeric(divide),
  '%': numeric(remainder),
  '-': binary((left, right, machine) => {
    if (left instanceof RegoSet && right instanceof RegoSet) {
      return filtered(left, machine, (member) => !right.has(member))
    }
    return isNumber(left) && isNumber(right) ? calculated(left, right, machine, subtract) : undefined
  }),
  '&': binary((left, right, machine) =>
    left instanceof RegoSet && right instanceof RegoSet
      ? filtered(left, machine, (member) => right.has(member))
      : undefined,
  ),
  '|': binary((left, right, machine) => {
    if (!(left instanceof RegoSet && right instanceof RegoSet)) return undefined
    machine.tick(left.size + right.size)
    const both = RegoSet.of(left.sorted)
    for (const member of right.sorted) both.add(member)
    return both
  }),
  in: binary((member, collection, machine) => contains(collection, member, machine)),
  in_with_key: {
    arity: 3,
    call: (machine, [key, member, collection]) => {
      machine.tick()
      if (collection instanceof RegoSet) return false
      const found = lookup(collection as Value, key as Value)
      return found !== undefined && equalValues(found, member as Value)
    },
  },
}

function comparing(compare: (left: Value, right: Value) => boolean): Builtin {
  return binary((left, right, machine) => {
    machine.tick(1 + weightOf(left) + weightOf(right))
    return compare(left, right)
  })
}

function numeric(operation: (left: Numeric, right: Numeric) => Numeric | undefined): Builtin {
  return binary((left, right, machine) =>
    isNumber(left) && isNumber(right) ? calculated(left, right, machine, operation) : undefined,
  )
}

function calculated(
  left: Numeric,
  right: Numeric,
  machine: Machine,
  operation: (left: Numeric, right: Numeric) => Numeric | undefined,
): Numeric | undefined {
  // Fractions and large integers go through long arithmetic.
  machine.tick(Number.isSafeInteger(left) && Number.isSafeInteger(right) ? 1 : 20)
  return operation(left, right)
}

function filtered(set: RegoSet, machine: Machine, keep: (member: Value) => boolean): RegoSet {
  machine.tick(set.size)
  return RegoSet.of(set.sorted.filter(keep))
}

function contains(collection: Value, member: Value, machine: Machine): boolean {
  if (isArray(collection)) {
    machine.tick(1 + collection.length + weightOf(collection))
    return collection.some((item) => equalValues(item, member))
  }
  if (collection instanceof RegoSet) {
    machine.tick(1 + weightOf(member))
    return collection.has(member)
  }
  if (collection instanceof RegoObject || isPlainObject(collection)) {
    const entries = entriesOf(collection)
    machine.tick(1 + entries.length + weightOf(collection))
    return entries.some(([, value]) => equalValues(value, member))
  }
  return false
}
