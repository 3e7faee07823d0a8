/**
 * How Postgres spells a JSON value as `jsonb::text`: keys by length and then by bytes, `", "` and `": "`
 * (audit-and-events §5.1). A good guess that saves a round trip: whoever stores what was hashed with it has the
 * server compare (`appendLinks`), and asks the server where it differs.
 */

/**
 * A member or an element that is not a plain integer: the server keeps the spelling of such numbers, which
 * `JSON.parse` does not.
 */
const spelledNumber = /(?:":|[[,])\s*-?\d+[.eE]/

/** False for an object or array with numbers whose spelling is lost once it is parsed, and for some without. */
export function keepsSpelling(json: string): boolean {
  return !spelledNumber.test(json)
}

/** Null when the value has a number that may be spelled otherwise, or is nested too deep to say. */
export function jsonbText(value: unknown): string | null {
  try {
    return spell(value)
  } catch (error) {
    if (error instanceof Unspellable || error instanceof RangeError) return null
    throw error
  }
}

class Unspellable extends Error {
  override readonly name = 'Unspellable'
}

function spell(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      if (!Number.isSafeInteger(value)) throw new Unspellable('a number may be spelled otherwise')
      return String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value)
        ? spellArray(value)
        : spellObject(value as Readonly<Record<string, unknown>>)
    default:
      throw new Unspellable('not a JSON value')
  }
}

function spellArray(items: readonly unknown[]): string {
  let text = ''
  for (const item of items) text += `${text === '' ? '' : ', '}${spell(item)}`
  return `[${text}]`
}

function spellObject(members: Readonly<Record<string, unknown>>): string {
  let text = ''
  for (const key of Object.keys(members).sort(byLengthThenBytes))
    text += `${text === '' ? '' : ', '}${JSON.stringify(key)}: ${spell(members[key])}`
  return `{${text}}`
}

function byLengthThenBytes(a: string, b: string): number {
  const [lengthOfA, lengthOfB] = [Buffer.byteLength(a), Buffer.byteLength(b)]
  if (lengthOfA !== lengthOfB) return lengthOfA - lengthOfB
  // Only of ASCII is the order of UTF-16 units known to be that of the bytes.
  if (lengthOfA === a.length && lengthOfB === b.length) return a < b ? -1 : 1
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
