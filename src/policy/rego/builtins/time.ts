/** time.parse_rfc3339_ns: the one time function, because it needs no clock. */
import { fromDecimal } from '../number.ts'
import { type Builtin, unary } from './builtin.ts'

const pattern =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/

const NANOSECONDS_PER_SECOND = 1_000_000_000n
/** Nanoseconds must fit a signed 64-bit integer. */
const LIMIT = 2n ** 63n

/** Nanoseconds since 1970 of an RFC 3339 time; digits after the ninth are dropped. */
export const parseRfc3339: Builtin = unary((text, machine) => {
  if (typeof text !== 'string') return undefined
  machine.tick(10)
  const parts = pattern.exec(text)
  if (parts === null) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12) return undefined
  if (day < 1 || day > daysIn(year, month)) return undefined
  const offsetHours = Number(parts[9] ?? 0)
  const offsetMinutes = Number(parts[10] ?? 0)
  if (offsetHours > 24 || offsetMinutes > 60) return undefined
  const offset = (offsetHours * 60 + offsetMinutes) * 60 * (parts[8] === '-' ? -1 : 1)
  const time = new Date(0)
  time.setUTCFullYear(year, month - 1, day)
  time.setUTCHours(hour, minute, second)
  const seconds = BigInt(time.getTime() / 1000 - offset)
  const fraction = BigInt((parts[7] ?? '').slice(0, 9).padEnd(9, '0'))
  const nanoseconds = seconds * NANOSECONDS_PER_SECOND + fraction
  if (nanoseconds >= LIMIT || nanoseconds < -LIMIT) return undefined
  return fromDecimal(nanoseconds, 0)
})

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}
