/**
 * Array columns for the driver. It can learn them by a query on each new connection, but a
 * connection lost during that query rejects a promise nobody holds, which ends the process.
 */
import type postgres from 'postgres'

type Parse = (text: string) => unknown

const text: Parse = (value) => value
const number: Parse = (value) => Number(value)

/** Element type, array type, how an element reads. bigint stays text, as outside of arrays. */
const arrays: readonly (readonly [element: number, array: number, parse: Parse])[] = [
  [25, 1009, text],
  [1043, 1015, text],
  [19, 1003, text],
  [2950, 2951, text],
  [20, 1016, text],
  [21, 1005, number],
  [23, 1007, number],
  [26, 1028, number],
  [700, 1021, number],
  [701, 1022, number],
  [16, 1000, (value) => value === 't'],
  [17, 1001, (value) => Buffer.from(value.slice(2), 'hex')],
  [1184, 1185, (value) => new Date(value)],
  [3802, 3807, (value) => JSON.parse(value)],
]

export const arrayTypes: Record<string, postgres.PostgresType> = Object.fromEntries(
  arrays.map(([, array, parse]) => [
    `array${array}`,
    {
      to: array,
      from: [array],
      serialize: (value: unknown) => (Array.isArray(value) ? formatArray(value) : String(value)),
      parse: (value: string) => parseArray(value, parse),
    },
  ]),
)

/** What `sql.array(values)` looks up. */
export const arrayTypeOf: Readonly<Record<number, number>> = Object.fromEntries(
  arrays.map(([element, array]) => [element, array]),
)

export function formatArray(values: readonly unknown[]): string {
  return `{${values.map(formatElement).join(',')}}`
}

function formatElement(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (Array.isArray(value)) return formatArray(value)
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return quote(`\\x${Buffer.from(value).toString('hex')}`)
  if (value instanceof Date) return quote(value.toISOString())
  return quote(typeof value === 'string' ? value : JSON.stringify(value))
}

const quote = (value: string): string => `"${value.replaceAll(/["\\]/g, '\\$&')}"`

/** Reads Postgres' text form, nested arrays included; a lower bound (`[2:3]=`) is left out. */
export function parseArray(literal: string, parse: Parse): unknown[] {
  let at = literal.startsWith('[') ? literal.indexOf('=') + 1 : 0

  function list(): unknown[] {
    const values: unknown[] = []
    at += 1
    while (at < literal.length && literal[at] !== '}') {
      if (literal[at] === ',') at += 1
      else if (literal[at] === '{') values.push(list())
      else values.push(literal[at] === '"' ? parse(quoted()) : bare())
    }
    at += 1
    return values
  }

  function quoted(): string {
    let value = ''
    for (at += 1; literal[at] !== '"'; at += 1) {
      if (literal[at] === '\\') at += 1
      value += literal[at]
    }
    at += 1
    return value
  }

  function bare(): unknown {
    const begin = at
    while (literal[at] !== ',' && literal[at] !== '}') at += 1
    const value = literal.slice(begin, at)
    return value === 'NULL' ? null : parse(value)
  }

  return list()
}
