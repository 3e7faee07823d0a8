/**
 * The closures plans are made of: how a value is read, built, walked and
 * iterated while an evaluation runs.
 */
import { RegoEvaluationError } from './failure.ts'
import type { Continuation, Frame, Getter, Machine } from './machine.ts'
import {
  entriesOf,
  equalValues,
  isArray,
  lookup,
  memberOf,
  type PlainObject,
  RegoObject,
  RegoSet,
  type Value,
  weightOf,
} from './value.ts'

/** A function, user-defined or built in: operands in, value or undefined out. */
export type Call = (machine: Machine, operands: readonly Value[]) => Value | undefined

export type Shape = 'array' | 'set' | 'object'

export function slotGetter(slot: number): Getter {
  return (_machine, frame) => frame[slot] as Value | undefined
}

/** Runs `match` for each entry of a collection, key and value in their slots; nothing for anything else. */
export function iterate(
  collection: Getter,
  keySlot: number,
  valueSlot: number,
  match: Continuation,
): Continuation {
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

export function isObject(value: Value): value is PlainObject | RegoObject {
  if (typeof value !== 'object' || value === null || isArray(value)) return false
  return value instanceof RegoObject || !(value instanceof RegoSet || 'digits' in value)
}

export function isCollection(value: Value): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (isArray(value) || value instanceof RegoSet || isObject(value))
  )
}

/** A call whose undefined operands make it undefined. */
export function callOf(call: Call, getters: readonly Getter[]): Getter {
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

export function member(collection: Getter, key: Getter): Getter {
  return (machine, frame) => {
    const base = collection(machine, frame)
    if (base === undefined) return undefined
    const part = key(machine, frame)
    return part === undefined ? undefined : lookup(base, part)
  }
}

export function walk(head: Getter, keys: readonly Value[], fromInput: boolean): Getter {
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

export function arrayOf(getters: readonly Getter[]): Getter {
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

export function setOf(getters: readonly Getter[]): Getter {
  return (machine, frame) => {
    const set = new RegoSet()
    for (const getter of getters) {
      const element = getter(machine, frame)
      if (element === undefined) return undefined
      machine.tick(weightOf(element))
      set.add(element)
    }
    return set
  }
}

/** Getters alternate between keys and values. */
export function objectOf(getters: readonly Getter[]): Getter {
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

export function emptyOf(shape: Shape): Value[] | RegoSet | RegoObject {
  if (shape === 'array') return []
  return shape === 'set' ? new RegoSet() : new RegoObject()
}

export function collector(shape: Shape, getters: readonly Getter[], slot: number): Continuation {
  const [first, second] = getters
  return (machine: Machine, frame: Frame) => {
    const left = first?.(machine, frame)
    if (left === undefined) return false
    machine.tick(shape === 'array' ? 1 : 1 + weightOf(left))
    if (shape === 'array') (frame[slot] as Value[]).push(left)
    else if (shape === 'set') (frame[slot] as RegoSet).add(left)
    else {
      const right = second?.(machine, frame)
      if (right !== undefined) insert(frame[slot] as RegoObject, left, right)
    }
    return false
  }
}
