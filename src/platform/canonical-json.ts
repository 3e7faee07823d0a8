/**
 * The JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code
 * units, no white space, ECMAScript number and string forms. Digests and
 * receipts are made over this text, so it must never change.
 */

const loneSurrogate = /\p{Surrogate}/u

function canonicalString(value: string): string {
  if (loneSurrogate.test(value)) throw new TypeError('canonical JSON: lone surrogate in a string')
  return JSON.stringify(value)
}

/**
 * Canonical text of a JSON value. Members that are `undefined` are left out, as `JSON.stringify` does;
 * anything else that is not JSON (NaN, bigint, function, Date, lone surrogate) is a TypeError.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || value === true || value === false) return String(value)
  if (typeof value === 'string') return canonicalString(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('canonical JSON: number is not finite')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object') {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      throw new TypeError('canonical JSON: not a plain object')
    }
    const members: string[] = []
    for (const key of Object.keys(value).sort()) {
      const member = (value as Record<string, unknown>)[key]
      if (member !== undefined) members.push(`${canonicalString(key)}:${canonicalJson(member)}`)
    }
    return `{${members.join(',')}}`
  }
  throw new TypeError(`canonical JSON: cannot hold a ${typeof value}`)
}
