/** Flags of a command (control-api §9.6): few, short, flat; their meaning is the command's. */

import { deepestNesting, nestsTooDeep } from '../../../platform/http/nesting.ts'
import { isJsonObject } from '../../../platform/json.ts'
import { refuse } from './refusal.ts'

type FlagValue = string | number | boolean | null | readonly (string | number | boolean | null)[]

const MAX_FLAGS = 32
const MAX_TEXT = 131_072
const MAX_LIST = 64

function isScalar(value: unknown): value is string | number | boolean | null {
  if (typeof value === 'string') return value.length <= MAX_TEXT
  return value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
}

function isFlagValue(value: unknown): value is FlagValue {
  return Array.isArray(value) ? value.length <= MAX_LIST && value.every(isScalar) : isScalar(value)
}

/** `undefined` when it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What a command was given, read by name and kind. Every reader throws `invalid` for the wrong shape. */
export interface Flags {
  text(name: string): string | undefined
  required(name: string): string
  /** `null` given as such clears a value. */
  nullable(name: string): string | null | undefined
  /** A comma list or an array. */
  list(name: string): string[] | undefined
  boolean(name: string): boolean
  integer(name: string): number | undefined
  /** JSON text. */
  json(name: string): unknown
}

/** Reads the `flags` member; anything but an object counts as none. Throws `invalid`. */
export function readFlags(value: unknown): Flags {
  const given = isJsonObject(value) ? value : {}
  const names = Object.keys(given)
  if (names.length > MAX_FLAGS) throw refuse('invalid', `at most ${MAX_FLAGS} flags`)
  for (const name of names) {
    if (name.length < 1 || name.length > 64) throw refuse('invalid', 'a flag name has 1 to 64 characters')
    if (!isFlagValue(given[name]))
      throw refuse('invalid', `flag ${name.slice(0, 64)} has an unsupported value`)
  }
  const bad = (name: string, kind: string) => refuse('invalid', `flag ${name} must be ${kind}`)
  const text = (name: string): string | undefined => {
    const flag = given[name]
    if (flag === undefined || flag === null) return undefined
    if (typeof flag === 'string') return flag
    if (typeof flag === 'number' || typeof flag === 'boolean') return String(flag)
    throw bad(name, 'text')
  }
  return {
    text,
    required(name) {
      const flag = text(name)
      if (flag === undefined || flag === '') throw refuse('invalid', `flag ${name} is required`)
      return flag
    },
    nullable: (name) => (given[name] === null ? null : text(name)),
    list(name) {
      const flag = given[name]
      if (flag === undefined || flag === null) return undefined
      if (Array.isArray(flag)) return flag.map(String)
      return String(flag)
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== '')
    },
    boolean(name) {
      const flag = given[name]
      if (flag === undefined || flag === null || flag === false || flag === 'false') return false
      if (flag === true || flag === 'true') return true
      throw bad(name, 'true or false')
    },
    integer(name) {
      const flag = text(name)
      if (flag === undefined) return undefined
      if (!/^\d{1,9}$/.test(flag)) throw bad(name, 'an integer')
      return Number(flag)
    },
    json(name) {
      const flag = text(name)
      if (flag === undefined) return undefined
      const value = parsed(flag)
      if (value === undefined) throw bad(name, 'JSON text')
      if (nestsTooDeep(value)) throw bad(name, `JSON of at most ${deepestNesting} levels`)
      return value
    },
  }
}
