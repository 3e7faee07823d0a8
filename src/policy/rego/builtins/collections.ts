/** count, sum, min, max, sort, array.concat, union, intersection, object.get and the type tests. */
import { absolute, add, roundHalfAway } from '../arithmetic.ts'
import type { Machine } from '../machine.ts'
import { type Numeric, parseNumeric } from '../number.ts'
import {
  compareValues,
  isArray,
  isNumber,
  isPlainObject,
  lookup,
  RegoObject,
  RegoSet,
  sizeOf,
  type Value,
} from '../value.ts'
import { type Builtin, binary, unary } from './builtin.ts'

export const collectionBuiltins: Readonly<Record<string, Builtin>> = {
  count: unary((value, machine) => {
    if (typeof value === 'string') {
      machine.tick(1 + (value.length >> 4))
      let points = 0
      for (const _point of value) points += 1
      return points
    }
    if (isArray(value)) return value.length
    if (value instanceof RegoSet) return value.size
    return value instanceof RegoObject || isPlainObject(value) ? sizeOf(value) : undefined
  }),
  sum: unary((value, machine) => {
    let total: Numeric | undefined = 0
    for (const item of membersOf(value, machine) ?? [null]) {
      if (!isNumber(item) || total === undefined) return undefined
      if (!Number.isSafeInteger(item)) machine.tick(20)
      total = add(total, item)
    }
    return total
  }),
  min: unary((value, machine) => extreme(value, machine, -1)),
  max: unary((value, machine) => extreme(value, machine, 1)),
  sort: unary((value, machine) => {
    const members = membersOf(value, machine)
    return value instanceof RegoSet || members === undefined ? members : [...members].sort(compareValues)
  }),
  'array.concat': binary((left, right, machine) => {
    if (!isArray(left) || !isArray(right)) return undefined
    machine.tick(1 + left.length + right.length)
    return [...left, ...right]
  }),
  union: unary((value, machine) => {
    const sets = setsOf(value)
    if (sets === undefined) return undefined
    const all = new RegoSet()
    for (const set of sets) {
      machine.tick(1 + set.size)
      for (const member of set.sorted) all.add(member)
    }
    return all
  }),
  intersection: unary((value, machine) => {
    const sets = setsOf(value)
    if (sets === undefined) return undefined
    const [first, ...others] = sets
    if (first === undefined) return new RegoSet()
    machine.tick(1 + first.size * sets.length)
    return RegoSet.of(first.sorted.filter((member) => others.every((set) => set.has(member))))
  }),
  'object.get': {
    arity: 3,
    call: (machine, [object, key, otherwise]) => {
      if (!(object instanceof RegoObject || isPlainObject(object as Value))) return undefined
      if (!isArray(key as Value)) return defined(lookup(object as Value, key as Value), otherwise)
      let value: Value | undefined = object as Value
      for (const part of key as readonly Value[]) {
        machine.tick()
        value = value === undefined ? undefined : lookup(value, part)
      }
      return defined(value, otherwise)
    },
  },
  is_array: unary(isArray),
  is_boolean: unary((value) => typeof value === 'boolean'),
  is_null: unary((value) => value === null),
  is_number: unary(isNumber),
  is_object: unary((value) => value instanceof RegoObject || isPlainObject(value)),
  is_set: unary((value) => value instanceof RegoSet),
  is_string: unary((value) => typeof value === 'string'),
  to_number: unary((value) => {
    if (value === null || value === false) return 0
    if (value === true) return 1
    if (typeof value === 'string') return parseNumeric(value)
    return isNumber(value) ? value : undefined
  }),
  round: unary((value) => (isNumber(value) ? roundHalfAway(value) : undefined)),
  abs: unary((value) => (isNumber(value) ? absolute(value) : undefined)),
}

/** `null` is a value. */
function defined(value: Value | undefined, otherwise: Value | undefined): Value | undefined {
  return value === undefined ? otherwise : value
}

/** Elements of an array or a set. */
function membersOf(value: Value, machine: Machine): readonly Value[] | undefined {
  const members = isArray(value) ? value : value instanceof RegoSet ? value.sorted : undefined
  if (members !== undefined) machine.tick(1 + members.length)
  return members
}

function extreme(value: Value, machine: Machine, sign: 1 | -1): Value | undefined {
  let found: Value | undefined
  for (const item of membersOf(value, machine) ?? []) {
    if (found === undefined || compareValues(item, found) * sign > 0) found = item
  }
  return found
}

function setsOf(value: Value): readonly RegoSet[] | undefined {
  if (!(value instanceof RegoSet)) return undefined
  const sets: RegoSet[] = []
  for (const member of value.sorted) {
    if (!(member instanceof RegoSet)) return undefined
    sets.push(member)
  }
  return sets
}
