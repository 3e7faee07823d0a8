/**
 * The kinds of value a variable may have: how the text is read, and the sentence
 * that says what is wrong with it. A parser never repeats the text it was given,
 * because the text may be a secret.
 */
import type { RoleName } from './roles.ts'

export type Mode = 'dev' | 'rc' | 'stable'

/** What a default may depend on: everything that is settled before the table is walked. */
export interface Situation {
  readonly mode: Mode
  readonly roles: readonly RoleName[]
  /** The store is the embedded Postgres. */
  readonly embedded: boolean
  /** Absolute. */
  readonly dataDir: string
  readonly port: (role: RoleName) => number
  readonly consolePort: number
  /** The one port of all roles; `null` when each has its own. */
  readonly singlePort: number | null
}

export interface Variable<T> {
  readonly kind: string
  readonly parse: (text: string) => T
  readonly initial: (situation: Situation) => T
  /** The default as the documentation shows it. */
  readonly shown: string
  readonly doc: string
  /** Roles that read it; all of them when absent. Values of other roles are not judged. */
  readonly roles?: readonly RoleName[]
  /** Secrets are accepted through `<NAME>_FILE` too. */
  readonly secret: boolean
  /** Other names of the same variable, asked in this order after the name itself (before it with `aliasFirst`). */
  readonly aliases: readonly string[]
  readonly aliasFirst: boolean
  /** Says that an unset variable is an error. */
  readonly required?: (situation: Situation) => boolean
}

/** What is wrong with a value, without the variable's name and without the value. */
export class Unacceptable extends Error {
  override readonly name = 'Unacceptable'
}

interface Common {
  readonly doc: string
  readonly roles?: readonly RoleName[]
  readonly secret?: boolean
  readonly aliases?: readonly string[]
  readonly aliasFirst?: boolean
  readonly required?: (situation: Situation) => boolean
  /** Overrides the documented default where it is computed. */
  readonly shown?: string
}

type Default<T> = T | ((situation: Situation) => T)

function variable<T>(
  kind: string,
  parse: (text: string) => T,
  initial: Default<T>,
  common: Common,
): Variable<T> {
  const shown = common.shown ?? (typeof initial === 'function' ? 'derived' : show(initial))
  return {
    kind,
    parse,
    initial: typeof initial === 'function' ? (initial as (situation: Situation) => T) : () => initial,
    shown,
    doc: common.doc,
    ...(common.roles === undefined ? {} : { roles: common.roles }),
    secret: common.secret ?? false,
    aliases: common.aliases ?? [],
    aliasFirst: common.aliasFirst ?? false,
    ...(common.required === undefined ? {} : { required: common.required }),
  }
}

function show(value: unknown): string {
  if (value === null || value === '') return 'unset'
  return Array.isArray(value) ? value.join(',') || 'empty' : String(value)
}

type WithDefault<T> = Common & { readonly default: Default<T> }

export function text(options: WithDefault<string>): Variable<string>
export function text(options: Common & { readonly default?: Default<string | null> }): Variable<string | null>
export function text(
  options: Common & { readonly default?: Default<string | null> },
): Variable<string | null> {
  return variable<string | null>('text', (value) => value, options.default ?? null, options)
}

interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** Decimal, the whole text must match: `10abc` is refused. */
export function integer(options: WithDefault<number> & Bounds): Variable<number>
export function integer(
  options: Common & Bounds & { readonly default?: Default<number | null> },
): Variable<number | null>
export function integer(
  options: Common & Bounds & { readonly default?: Default<number | null> },
): Variable<number | null> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  return variable<number | null>(
    'integer',
    (value) => {
      const parsed = Number(value)
      if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(parsed))
        throw new Unacceptable('must be an integer')
      if (parsed < min) throw new Unacceptable(`must be at least ${min}`)
      if (parsed > max) throw new Unacceptable(`must be at most ${max}`)
      return parsed
    },
    options.default ?? null,
    options,
  )
}

/** A number of processes, or one for each core. */
export function countOrAuto(options: WithDefault<number | 'auto'> & Bounds): Variable<number | 'auto'> {
  const count = integer({ ...options, default: 1 })
  return variable<number | 'auto'>(
    'integer or auto',
    (value) => {
      if (value.toLowerCase() === 'auto') return 'auto'
      if (!/^\d+$/.test(value)) throw new Unacceptable('must be an integer or auto')
      return count.parse(value)
    },
    options.default,
    options,
  )
}

const truths = new Set(['1', 'true', 'yes', 'on'])
const falsehoods = new Set(['0', 'false', 'no', 'off'])

export function boolean(options: WithDefault<boolean>): Variable<boolean> {
  return variable<boolean>(
    'boolean',
    (value) => {
      const lower = value.toLowerCase()
      if (truths.has(lower)) return true
      if (falsehoods.has(lower)) return false
      throw new Unacceptable('must be one of 1, true, yes, on, 0, false, no, off')
    },
    options.default,
    options,
  )
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

interface DurationOptions extends Bounds {
  /** Set for names that end in `_MS`: a bare number counts milliseconds. */
  readonly bare?: boolean
}

function parseDuration(value: string, { bare, min = 1, max }: DurationOptions): number {
  let total: number
  // Nothing is as long in every unit.
  if (value === '0' || (bare && /^\d+$/.test(value))) total = Number(value)
  else if (/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(value)) {
    total = 0
    for (const [, count, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
      total += Number(count) * (unitMs[unit ?? 'ms'] ?? 1)
  } else
    throw new Unacceptable(
      bare
        ? 'must be milliseconds or a duration such as 5s'
        : 'must be a duration such as 500ms, 5s or 1m30s',
    )
  total = Math.round(total)
  if (!Number.isSafeInteger(total)) throw new Unacceptable('is too long')
  if (total < min) throw new Unacceptable(`must be at least ${min} ms`)
  if (max !== undefined && total > max) throw new Unacceptable(`must be at most ${max} ms`)
  return total
}

/** Milliseconds. */
export function duration(options: WithDefault<number> & DurationOptions): Variable<number> {
  return variable<number>('duration', (value) => parseDuration(value, options), options.default, options)
}

/** Milliseconds; `off` is null. */
export function optionalDuration(options: Common & DurationOptions): Variable<number | null> {
  return variable<number | null>(
    'duration',
    (value) => (value.toLowerCase() === 'off' ? null : parseDuration(value, options)),
    null,
    { ...options, shown: options.shown ?? 'off' },
  )
}

export function choice<const T extends string>(
  values: readonly T[],
  options: WithDefault<T> & { readonly fallback?: T },
): Variable<T> {
  return variable<T>(
    `one of ${values.join(', ')}`,
    (value) => {
      const found = values.find((one) => one === value.toLowerCase()) ?? options.fallback
      if (found === undefined) throw new Unacceptable(`must be one of ${values.join(', ')}`)
      return found
    },
    options.default,
    options,
  )
}

/** Comma separated; entries are trimmed and lower-cased, empty ones dropped. */
export function hosts(options: Common): Variable<readonly string[]> {
  return variable<readonly string[]>(
    'list',
    (value) =>
      value
        .split(',')
        .map((entry) => entry.trim().toLowerCase())
        .filter((entry) => entry !== ''),
    [],
    options,
  )
}

export function httpUrl(
  options: Common & { readonly default?: Default<string | null> },
): Variable<string | null> {
  return variable<string | null>(
    'url',
    (value) => {
      const url = URL.canParse(value) ? new URL(value) : null
      if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
        throw new Unacceptable('must be an absolute http or https URL')
      if (url.username !== '' || url.password !== '') throw new Unacceptable('must not carry credentials')
      if (url.search !== '' || url.hash !== '') throw new Unacceptable('must not carry a query or fragment')
      return value.replace(/\/+$/, '')
    },
    options.default ?? null,
    options,
  )
}

/** A mail server, with the credentials it wants. */
export function smtpUrl(options: Common): Variable<string | null> {
  return variable<string | null>(
    'url',
    (value) => {
      const url = URL.canParse(value) ? new URL(value) : null
      if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '')
        throw new Unacceptable('must be an smtp or smtps URL')
      return value
    },
    null,
    options,
  )
}

/** Issuer identifiers are compared byte for byte, so the text is kept as written. */
export function issuerUrl(
  options: Common & { readonly default?: Default<string | null> },
): Variable<string | null> {
  const checked = httpUrl(options)
  return {
    ...checked,
    parse: (value) => {
      checked.parse(value)
      return value
    },
  }
}

export function storeUrl(protocols: readonly string[], options: Common): Variable<string | null> {
  return variable<string | null>(
    'url',
    (value) => {
      if (!protocols.some((protocol) => value.startsWith(`${protocol}://`)) || value.endsWith('://'))
        throw new Unacceptable(`must be a URL that begins with ${protocols[0]}://`)
      return value
    },
    null,
    options,
  )
}

/** Hexadecimal key material of at least 32 bytes; kept as text. */
export function hmacKey(options: Common): Variable<string | null> {
  return variable<string | null>(
    'key',
    (value) => {
      if (!/^[0-9a-fA-F]*$/.test(value)) throw new Unacceptable('must be hexadecimal')
      if (value.length < 64 || value.length % 2 !== 0)
        throw new Unacceptable('must be at least 32 bytes (64 hexadecimal characters)')
      return value.toLowerCase()
    },
    null,
    { ...options, secret: true },
  )
}

/** The key encryption key: 32 bytes hex without an obvious pattern (storage-and-operations §8.2). */
export function kek(options: Common): Variable<string | null> {
  return variable<string | null>('key', parseKek, null, { ...options, secret: true })
}

function parseKek(value: string): string {
  // Buffer.from(…, 'hex') stops silently at the first bad character, so the text is judged first.
  if (!/^[0-9a-fA-F]*$/.test(value)) throw new Unacceptable('must be hexadecimal')
  if (value.length !== 64) throw new Unacceptable('must be exactly 32 bytes (64 hexadecimal characters)')
  const bytes = [...Buffer.from(value, 'hex')]
  const every = (test: (byte: number, before: number, index: number) => boolean): boolean =>
    bytes.every((byte, index) => index === 0 || test(byte, bytes[index - 1] ?? 0, index))
  if (bytes.every((byte) => byte === 0)) throw new Unacceptable('must not be all zero')
  if (every((byte, before) => byte === before)) throw new Unacceptable('must not repeat one byte')
  if (every((byte, before) => byte === (before + 1) % 256)) throw new Unacceptable('must not count upwards')
  if (every((byte, before) => before === (byte + 1) % 256)) throw new Unacceptable('must not count downwards')
  if (bytes.every((byte, index) => index < 2 || byte === bytes[index - 2]))
    throw new Unacceptable('must not repeat two bytes')
  return value.toLowerCase()
}
