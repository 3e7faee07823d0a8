/**
 * Values of the language and their total order (null < booleans < numbers <
 * strings < arrays < objects < sets), which decides equality, iteration order
 * and set membership. An object of the input stays the plain object it is: its
 * own members with a value other than `undefined` are its entries.
 */
import { compareNumbers, numberKey, WideNumber } from './number.ts'

export type Value =
  | null
  | boolean
  | number
  | WideNumber
  | string
  | readonly Value[]
  | PlainObject
  | RegoObject
  | RegoSet

export interface PlainObject {
  readonly [key: string]: Value | undefined
}

/** A set: distinct members, visited in order. */
export class RegoSet {
  readonly #members = new Map<unknown, Value>()
  #sorted: Value[] | null = null

  static of(members: Iterable<Value>): RegoSet {
    const set = new RegoSet()
    for (const member of members) set.add(member)
    return set
  }

  get size(): number {
    return this.#members.size
  }

  add(member: Value): void {
    const key = identityOf(member)
    if (this.#members.has(key)) return
    this.#members.set(key, member)
    this.#sorted = null
  }

  has(member: Value): boolean {
    return this.#members.has(identityOf(member))
  }

  get sorted(): readonly Value[] {
    this.#sorted ??= [...this.#members.values()].sort(compareValues)
    return this.#sorted
  }
}

/** An object made by a policy: keys of any type, visited in key order. */
export class RegoObject {
  readonly #entries = new Map<unknown, readonly [Value, Value]>()
  #sorted: (readonly [Value, Value])[] | null = null

  get size(): number {
    return this.#entries.size
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(identityOf(key))?.[1]
  }

  /** Later entries replace earlier ones: whoever must notice a conflict asks `get` first. */
  set(key: Value, value: Value): void {
    this.#entries.set(identityOf(key), [key, value])
    this.#sorted = null
  }

  get sorted(): readonly (readonly [Value, Value])[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => compareValues(a[0], b[0]))
    return this.#sorted
  }
}

export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

export function isPlainObject(value: Value): value is PlainObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof RegoSet) &&
    !(value instanceof RegoObject) &&
    !(value instanceof WideNumber)
  )
}

export function isNumber(value: Value): value is number | WideNumber {
  return typeof value === 'number' || value instanceof WideNumber
}

/** Member of a plain object, never of its prototype. */
export function memberOf(object: PlainObject, key: string): Value | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** Entries in key order, for either kind of object. */
export function entriesOf(object: PlainObject | RegoObject): readonly (readonly [Value, Value])[] {
  if (object instanceof RegoObject) return object.sorted
  const entries: [string, Value][] = []
  for (const key of Object.keys(object)) {
    const value = object[key]
    if (value !== undefined) entries.push([key, value])
  }
  return entries.length < 2 ? entries : entries.sort((a, b) => compareStrings(a[0], b[0]))
}

export function sizeOf(object: PlainObject | RegoObject): number {
  if (object instanceof RegoObject) return object.size
  let size = 0
  for (const key of Object.keys(object)) if (object[key] !== undefined) size += 1
  return size
}

/** Looks a key up in an array, object or set (a set answers its member); `undefined` when absent. */
export function lookup(collection: Value, key: Value): Value | undefined {
  if (typeof collection !== 'object' || collection === null) return undefined
  if (Array.isArray(collection)) {
    return typeof key === 'number' && Number.isInteger(key) && key >= 0 ? collection[key] : undefined
  }
  if (collection instanceof RegoObject) return collection.get(key)
  if (collection instanceof RegoSet) return collection.has(key) ? key : undefined
  if (collection instanceof WideNumber) return undefined
  return typeof key === 'string' ? memberOf(collection as PlainObject, key) : undefined
}

/** By code point, which is also the order of the UTF-8 bytes. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left === right) continue
    // Surrogates stand for code points above every other unit.
    const leftAstral = left >= 0xd800 && left <= 0xdfff
    const rightAstral = right >= 0xd800 && right <= 0xdfff
    if (leftAstral !== rightAstral) return leftAstral ? 1 : -1
    return left < right ? -1 : 1
  }
  return a.length < b.length ? -1 : 1
}

function rankOf(value: Value): number {
  if (value === null) return 0
  switch (typeof value) {
    case 'boolean':
      return 1
    case 'number':
      return 2
    case 'string':
      return 3
    default:
      if (Array.isArray(value)) return 4
      if (value instanceof WideNumber) return 2
      return value instanceof RegoSet ? 6 : 5
  }
}

/** Negative, zero or positive; zero exactly for equal values. */
export function compareValues(a: Value, b: Value): number {
  if (a === b) return 0
  const rank = rankOf(a)
  const difference = rank - rankOf(b)
  if (difference !== 0) return difference
  switch (rank) {
    case 1:
      return a === true ? 1 : -1
    case 2:
      return compareNumbers(a as number | WideNumber, b as number | WideNumber)
    case 3:
      return compareStrings(a as string, b as string)
    case 4:
      return compareSequences(a as readonly Value[], b as readonly Value[])
    case 5:
      return compareObjects(a as PlainObject | RegoObject, b as PlainObject | RegoObject)
    case 6:
      return compareSequences((a as RegoSet).sorted, (b as RegoSet).sorted)
    default:
      return 0
  }
}

export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true
  if (typeof a !== 'object' && typeof b !== 'object') return false
  return compareValues(a, b) === 0
}

function compareSequences(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const order = compareValues(a[index] as Value, b[index] as Value)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareObjects(a: PlainObject | RegoObject, b: PlainObject | RegoObject): number {
  const left = entriesOf(a)
  const right = entriesOf(b)
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const [leftKey, leftValue] = left[index] as readonly [Value, Value]
    const [rightKey, rightValue] = right[index] as readonly [Value, Value]
    const order = compareValues(leftKey, rightKey) || compareValues(leftValue, rightValue)
    if (order !== 0) return order
  }
  return left.length - right.length
}

/**
 * A map key that is the same for equal values and for no others: scalars stand
 * for themselves, everything else for a text that no string value can have.
 */
export function identityOf(value: Value): unknown {
  if (typeof value === 'string') return value.charCodeAt(0) === 0 ? `\0s${value}` : value
  if (typeof value !== 'object' || value === null) return value
  return `\0c${textOf(value)}`
}

function textOf(value: Value): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return `n${value === 0 ? 0 : value}`
  if (value instanceof WideNumber) return numberKey(value)
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (value instanceof RegoSet) return `<${value.sorted.map(textOf).join(',')}>`
  return `{${entriesOf(value as PlainObject | RegoObject)
    .map(([key, member]) => `${textOf(key)}:${textOf(member)}`)
    .join(',')}}`
}

/** Parts of a value that are counted; more only cost what these do. */
const MAX_COUNTED = 1024

/** Units of work for reading a whole value: to compare it, or to find it in a set. */
export function weightOf(value: Value): number {
  if (typeof value === 'string') return value.length >> 6
  return typeof value === 'object' && value !== null ? 1 + (countParts(value, 0) >> 3) : 0
}

function countParts(value: Value, counted: number): number {
  let count = counted + 1
  if (typeof value === 'string') return count + (value.length >> 3)
  if (typeof value !== 'object' || value === null || value instanceof WideNumber) return count
  if (Array.isArray(value) || value instanceof RegoSet) {
    for (const member of value instanceof RegoSet ? value.sorted : (value as readonly Value[])) {
      if (count > MAX_COUNTED) return count
      count = countParts(member, count)
    }
    return count
  }
  for (const [, member] of entriesOf(value as PlainObject | RegoObject)) {
    if (count > MAX_COUNTED) return count
    count = countParts(member, count)
  }
  return count
}

/** JSON form: sets become sorted arrays, non-string keys their JSON text, wide numbers the nearest double. */
export function toJson(value: Value): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof WideNumber) return value.toNumber()
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof RegoSet) return value.sorted.map(toJson)
  const json: Record<string, unknown> = Object.create(null)
  for (const [key, member] of entriesOf(value as PlainObject | RegoObject)) {
    json[keyText(key)] = toJson(member)
  }
  return json
}

/** A key of a JSON object: strings as they are, anything else its JSON text, members sorted by their keys. */
function keyText(key: Value): string {
  return typeof key === 'string' ? key : jsonText(key)
}

function jsonText(value: Value): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (value instanceof WideNumber) return value.toString()
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (value instanceof RegoSet) return `[${value.sorted.map(jsonText).join(',')}]`
  const members = entriesOf(value as PlainObject | RegoObject)
    .map(([key, member]) => [keyText(key), jsonText(member)] as const)
    .sort(([a], [b]) => compareStrings(a, b))
  return `{${members.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`
}
