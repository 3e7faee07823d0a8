/**
 * How Postgres spells a JSON value as `jsonb::text`: keys by length and then by bytes, `", "` and `": "`
 * (audit-and-events §5.1). A good guess that saves a round trip: whoever stores what was hashed with it has the
 * server compare (`appendLinks`), and asks the server where it differs.
 */
import { LRUCache } from 'lru-cache'

/**
 * A member or an element that is not a plain integer: the server keeps the spelling of such numbers, which
 * `JSON.parse` does not.
 */
const spelledNumber = /(?:":|[[,])\s*-?\d+[.eE]/

/** False for an object or array with numbers whose spelling is lost once it is parsed, and for some without. */
export function keepsSpelling(json: string): boolean {
  return !spelledNumber.test(json)
}

/** What was met on the way. */
export interface Met {
  numbers: boolean
}

/** Null when the value has a number that may be spelled otherwise, or is nested too deep to say. */
export function jsonbText(value: unknown, met: Met = { numbers: false }): string | null {
  try {
    return spell(value, met)
  } catch (error) {
    if (error instanceof Unspellable || error instanceof RangeError) return null
    throw error
  }
}

class Unspellable extends Error {
  override readonly name = 'Unspellable'
}

function spell(value: unknown, met: Met): string {
  switch (typeof value) {
    case 'string':
      return spellString(value)
    case 'number':
      met.numbers = true
      if (!Number.isSafeInteger(value)) throw new Unspellable('a number may be spelled otherwise')
      return String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value)
        ? spellArray(value, met)
        : spellObject(value as Readonly<Record<string, unknown>>, met)
    default:
      throw new Unspellable('not a JSON value')
  }
}

/** ASCII that is spelled as it is. */
const plain = /^[ !#-[\]-~]*$/

function spellString(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
}

function spellArray(items: readonly unknown[], met: Met): string {
  let text = ''
  for (const item of items) text += `${text === '' ? '' : ', '}${spell(item, met)}`
  return `[${text}]`
}

function spellObject(members: Readonly<Record<string, unknown>>, met: Met): string {
  let text = '{'
  for (const { key, before } of shapeOf(Object.keys(members))) text += before + spell(members[key], met)
  return `${text}}`
}

interface Member {
  readonly key: string
  /** What stands before its value. */
  readonly before: string
}

/** Members in their order, by the keys as they came: nearly all events are of a few shapes. */
const shapes = new LRUCache<string, readonly Member[]>({ max: 500 })
const longestName = 2000

function shapeOf(keys: string[]): readonly Member[] {
  if (keys.length === 0) return []
  // No key of a jsonb holds U+0000.
  const name = keys.join('\0')
  const known = shapes.get(name)
  if (known !== undefined) return known
  const shape = inOrder(keys).map((key, at) => ({
    key,
    before: `${at === 0 ? '' : ', '}${spellString(key)}: `,
  }))
  if (name.length <= longestName) shapes.set(name, shape)
  return shape
}

/** Only of ASCII are the length and the order of UTF-16 units known to be those of the bytes. */
function inOrder(keys: string[]): string[] {
  return keys.sort(keys.every((key) => plain.test(key)) ? byLength : byLengthThenBytes)
}

const byLength = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1)

function byLengthThenBytes(a: string, b: string): number {
  return Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b))
}
