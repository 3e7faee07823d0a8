/**
 * sprintf with the verbs %v %d %s %q %t %x %X %o %b %c %f %e %g %%, flags,
 * width and precision. A verb that does not fit its operand prints the same
 * complaint as the reference implementation; any other verb makes the result
 * undefined.
 */
import { integerOf } from '../arithmetic.ts'
import { decimalOf, type Numeric, WideNumber } from '../number.ts'
import {
  entriesOf,
  isArray,
  isNumber,
  type PlainObject,
  type RegoObject,
  RegoSet,
  type Value,
} from '../value.ts'
import { type Builtin, binary, textCost } from './builtin.ts'

const MAX_WIDTH = 1000

const directive = /%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?([\s\S]?)/gu

export const sprintf: Builtin = binary((format, operands, machine) => {
  if (typeof format !== 'string' || !isArray(operands)) return undefined
  machine.tick(textCost(format.length) + operands.length)
  let used = 0
  let isSupported = true
  let text = format.replace(
    directive,
    (_all, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      if (verb === '') return '%!(NOVERB)'
      const operand = operands[used]
      used += 1
      if (operand === undefined) return `%!${verb}(MISSING)`
      const printed = print(operand, verb, flags, precision)
      if (printed === null || Number(width) > MAX_WIDTH || Number(precision ?? 0) > MAX_WIDTH) {
        isSupported = false
        return ''
      }
      machine.tick(textCost(printed.length + Number(width)))
      return pad(printed, Number(width), flags, isNumber(operand) && 'dxXobfeg'.includes(verb))
    },
  )
  if (used < operands.length) text += `%!(EXTRA ${operands.slice(used).map(described).join(', ')})`
  return isSupported ? text : undefined
})

/** `null` for a verb that is not supported. */
function print(operand: Value, verb: string, flags: string, precision: string | undefined): string | null {
  if (!'vdsqtxXobcfeg'.includes(verb)) return null
  if (isNumber(operand)) {
    const integer = printedInteger(operand)
    const printed =
      integer === undefined ? printFloat(doubleOf(operand), verb, precision) : printInteger(integer, verb)
    return printed === undefined ? mismatch(verb, operand) : signed(printed, flags)
  }
  const text = typeof operand === 'string' ? operand : textOf(operand)
  switch (verb) {
    case 'v':
    case 's':
      return cut(text, precision)
    case 'q':
      return quoted(cut(text, precision))
    case 'x':
    case 'X': {
      const hex = Buffer.from(cut(text, precision), 'utf8').toString('hex')
      return verb === 'X' ? hex.toUpperCase() : hex
    }
    default:
      return mismatch(verb, operand)
  }
}

function printInteger(value: bigint, verb: string): string | undefined {
  switch (verb) {
    case 'v':
    case 'd':
      return value.toString()
    case 'x':
      return value.toString(16)
    case 'X':
      return value.toString(16).toUpperCase()
    case 'o':
      return value.toString(8)
    case 'b':
      return value.toString(2)
    case 'c':
      return value >= 0n && value <= 0x10ffffn ? String.fromCodePoint(Number(value)) : '\ufffd'
    default:
      return undefined
  }
}

function printFloat(value: number, verb: string, precision: string | undefined): string | undefined {
  const digits = precision === undefined ? undefined : Number(precision)
  switch (verb) {
    case 'v':
      return general(value, 21)
    case 'g':
      return digits === undefined
        ? general(value, 21)
        : trimZeros(Number(value.toPrecision(Math.max(1, Math.min(100, digits)))))
    case 'f':
      return value.toFixed(Math.min(100, digits ?? 6))
    case 'e':
      return exponential(value.toExponential(Math.min(100, digits ?? 6)))
    default:
      return undefined
  }
}

function trimZeros(value: number): string {
  return general(value, 21)
}

/** Shortest digits; an exponent below -4 or from `from` on. */
function general(value: number, from: number): string {
  const [, power = '0'] = value.toExponential().split('e')
  if (Number(power) < -4 || Number(power) >= from) return exponential(value.toExponential())
  return plainDecimal(value)
}

function plainDecimal(value: number): string {
  const { digits, exponent } = decimalOf(value)
  const sign = digits < 0n ? '-' : ''
  const text = (digits < 0n ? -digits : digits).toString()
  if (exponent >= 0) return `${sign}${text}${'0'.repeat(exponent)}`
  const padded = text.padStart(1 - exponent, '0')
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`
}

/** At least two digits of exponent. */
function exponential(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

function signed(text: string, flags: string): string {
  if (text.startsWith('-')) return text
  if (flags.includes('+')) return `+${text}`
  return flags.includes(' ') ? ` ${text}` : text
}

function cut(text: string, precision: string | undefined): string {
  return precision === undefined ? text : [...text].slice(0, Number(precision)).join('')
}

function pad(text: string, width: number, flags: string, isNumeric: boolean): string {
  const missing = width - [...text].length
  if (missing <= 0) return text
  if (flags.includes('-')) return text + ' '.repeat(missing)
  if (!flags.includes('0') || !isNumeric) return ' '.repeat(missing) + text
  const sign = /^[-+ ]/.exec(text)?.[0] ?? ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
}

function mismatch(verb: string, operand: Value): string {
  return `%!${verb}(${described(operand)})`
}

function described(operand: Value): string {
  if (!isNumber(operand)) return `string=${typeof operand === 'string' ? operand : textOf(operand)}`
  const integer = printedInteger(operand)
  if (integer === undefined) return `float64=${general(doubleOf(operand), 21)}`
  return `${Number.isSafeInteger(Number(integer)) ? 'int' : '*big.Int'}=${integer}`
}

/** Integers that JSON would write with an exponent print like fractions. */
function printedInteger(value: Numeric): bigint | undefined {
  return typeof value === 'number' && Math.abs(value) >= 1e21 ? undefined : integerOf(value)
}

function doubleOf(value: Numeric): number {
  return value instanceof WideNumber ? value.toNumber() : value
}

/** A value as policy text. */
function textOf(value: Value): string {
  if (typeof value === 'string') return quoted(value)
  if (isNumber(value)) {
    const integer = printedInteger(value)
    return integer === undefined ? general(doubleOf(value), 21) : integer.toString()
  }
  if (typeof value !== 'object' || value === null) return String(value)
  if (isArray(value)) return `[${value.map(textOf).join(', ')}]`
  if (value instanceof RegoSet) return value.size === 0 ? 'set()' : `{${value.sorted.map(textOf).join(', ')}}`
  return `{${entriesOf(value as PlainObject | RegoObject)
    .map(([key, member]) => `${textOf(key)}: ${textOf(member)}`)
    .join(', ')}}`
}

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\\b', '\\b').replaceAll('\u007f', '\\x7f')
}
