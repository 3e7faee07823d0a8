/**
 * The arithmetic operators. Small integers are exact; any other result is
 * rounded to 64 significant bits and stands for the shortest decimal that
 * rounds to it, as in the reference implementation (so 0.1 + 0.2 is 0.3).
 */
import { decimalOf, fromDecimal, MAX_EXPONENT, type Numeric } from './number.ts'

const PRECISION = 64

/** sign is part of the mantissa: mantissa × 2^exponent, at most 64 bits of mantissa. */
interface Binary {
  readonly mantissa: bigint
  readonly exponent: number
}

export function add(a: Numeric, b: Numeric): Numeric | undefined {
  if (isSmall(a) && isSmall(b)) return a + b
  const left = binaryOf(a)
  const right = binaryOf(b)
  const exponent = Math.min(left.exponent, right.exponent)
  return shortest(rounded(align(left, exponent) + align(right, exponent), 1n, exponent))
}

export function subtract(a: Numeric, b: Numeric): Numeric | undefined {
  if (isSmall(a) && isSmall(b)) return a - b
  const left = binaryOf(a)
  const right = binaryOf(b)
  const exponent = Math.min(left.exponent, right.exponent)
  return shortest(rounded(align(left, exponent) - align(right, exponent), 1n, exponent))
}

export function multiply(a: Numeric, b: Numeric): Numeric | undefined {
  if (isSmall(a) && isSmall(b)) {
    const product = a * b
    if (Number.isSafeInteger(product)) return product + 0
  }
  const left = binaryOf(a)
  const right = binaryOf(b)
  return shortest(rounded(left.mantissa * right.mantissa, 1n, left.exponent + right.exponent))
}

/** `undefined` when dividing by zero. */
export function divide(a: Numeric, b: Numeric): Numeric | undefined {
  if (b === 0) return undefined
  if (isSmall(a) && isSmall(b) && a % b === 0) return a / b + 0
  const left = binaryOf(a)
  const right = binaryOf(b)
  return shortest(rounded(left.mantissa, right.mantissa, left.exponent - right.exponent))
}

/** Remainder of integers, with the sign of the dividend; `undefined` for anything else. */
export function remainder(a: Numeric, b: Numeric): Numeric | undefined {
  if (b === 0) return undefined
  if (isSmall(a) && isSmall(b)) return (a % b) + 0
  const left = integerOf(a)
  const right = integerOf(b)
  return left === undefined || right === undefined ? undefined : fromDecimal(left % right, 0)
}

export function absolute(value: Numeric): Numeric {
  if (typeof value === 'number') return Math.abs(value)
  return value.digits < 0n ? fromDecimal(-value.digits, value.exponent) : value
}

/** Half away from zero. */
export function roundHalfAway(value: Numeric): Numeric {
  const { digits, exponent } = decimalOf(value)
  if (exponent >= 0) return value
  const unit = 10n ** BigInt(-exponent)
  const magnitude = digits < 0n ? -digits : digits
  const whole = (2n * magnitude + unit) / (2n * unit)
  return fromDecimal(digits < 0n ? -whole : whole, 0)
}

/** The integer a number is; `undefined` for a fraction. */
export function integerOf(value: Numeric): bigint | undefined {
  if (isSmall(value)) return BigInt(value)
  const { digits, exponent } = decimalOf(value)
  return exponent < 0 ? undefined : digits * 10n ** BigInt(exponent)
}

/** Operands whose sums and differences stay exact. */
function isSmall(value: Numeric): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 52
}

function align(value: Binary, exponent: number): bigint {
  return value.mantissa << BigInt(value.exponent - exponent)
}

function binaryOf(value: Numeric): Binary {
  const { digits, exponent } = decimalOf(value)
  return exponent >= 0
    ? rounded(digits * 10n ** BigInt(exponent), 1n, 0)
    : rounded(digits, 10n ** BigInt(-exponent), 0)
}

/** numerator / denominator × 2^exponent, rounded to 64 bits, ties to even. */
function rounded(numerator: bigint, denominator: bigint, exponent: number): Binary {
  if (numerator === 0n) return { mantissa: 0n, exponent: 0 }
  const negative = numerator < 0n !== denominator < 0n
  const top = numerator < 0n ? -numerator : numerator
  const bottom = denominator < 0n ? -denominator : denominator
  // Scale so that the quotient has 65 or 66 bits, and remember whether anything was cut.
  const shift = PRECISION + 1 - (bitLength(top) - bitLength(bottom))
  const scaledTop = shift > 0 ? top << BigInt(shift) : top
  const scaledBottom = shift < 0 ? bottom << BigInt(-shift) : bottom
  let quotient = scaledTop / scaledBottom
  const inexact = scaledTop % scaledBottom !== 0n
  const excess = bitLength(quotient) - PRECISION
  const cut = BigInt(excess)
  const half = 1n << (cut - 1n)
  const low = quotient & ((1n << cut) - 1n)
  quotient >>= cut
  if (low > half || (low === half && (inexact || (quotient & 1n) === 1n))) quotient += 1n
  return { mantissa: negative ? -quotient : quotient, exponent: exponent - shift + excess }
}

function bitLength(value: bigint): number {
  return value.toString(16).length * 4 - leadingZeros(value)
}

function leadingZeros(value: bigint): number {
  return Math.clz32(Number.parseInt(value.toString(16).charAt(0), 16)) - 28
}

/** The decimal with the fewest digits that rounds to the same 64 bits; `undefined` when out of range. */
function shortest({ mantissa, exponent }: Binary): Numeric | undefined {
  if (mantissa === 0n) return 0
  const negative = mantissa < 0n
  const magnitude = negative ? -mantissa : mantissa
  if (Math.abs(exponent) > 4 * MAX_EXPONENT) return undefined
  if (exponent <= 0) {
    const scale = 1n << BigInt(-exponent)
    if (magnitude % scale === 0n) return fromDecimal((negative ? -magnitude : magnitude) / scale, 0)
  }
  const spare = PRECISION - bitLength(magnitude)
  const full = magnitude << BigInt(spare)
  // In quarters of a unit: neighbours are half a unit away, below a power of two only a quarter.
  const power = exponent - spare - 2
  const bottom = power < 0 ? 1n << BigInt(-power) : 1n
  const quarter = power > 0 ? 1n << BigInt(power) : 1n
  const isPower = full === 1n << BigInt(PRECISION - 1)
  const middle = full * 4n * quarter
  const lower = middle - (isPower ? quarter : 2n * quarter)
  const upper = middle + 2n * quarter
  const inclusive = (full & 1n) === 0n
  for (let digits = 1; digits <= 21; digits += 1) {
    const candidate = nearestWithDigits(middle, bottom, digits)
    const scaled = scaleTo(candidate.digits, candidate.exponent, bottom)
    const above = inclusive ? scaled.value >= lower * scaled.unit : scaled.value > lower * scaled.unit
    const below = inclusive ? scaled.value <= upper * scaled.unit : scaled.value < upper * scaled.unit
    if (above && below)
      return fromDecimal(negative ? -candidate.digits : candidate.digits, candidate.exponent)
  }
  return undefined
}

/** top / bottom as a decimal of `count` digits. */
function nearestWithDigits(top: bigint, bottom: bigint, count: number): { digits: bigint; exponent: number } {
  // Decimal position of the first digit.
  let position = top.toString().length - bottom.toString().length
  if (compareQuotient(top, bottom, position) < 0) position -= 1
  const exponent = position - count + 1
  const numerator = exponent < 0 ? top * 10n ** BigInt(-exponent) : top
  const denominator = exponent > 0 ? bottom * 10n ** BigInt(exponent) : bottom
  return { digits: (2n * numerator + denominator) / (2n * denominator), exponent }
}

/** Sign of top/bottom - 10^position. */
function compareQuotient(top: bigint, bottom: bigint, position: number): number {
  const left = position < 0 ? top * 10n ** BigInt(-position) : top
  const right = position > 0 ? bottom * 10n ** BigInt(position) : bottom
  return left < right ? -1 : left > right ? 1 : 0
}

/** digits × 10^exponent × bottom as the fraction value / unit. */
function scaleTo(digits: bigint, exponent: number, bottom: bigint): { value: bigint; unit: bigint } {
  return exponent >= 0
    ? { value: digits * 10n ** BigInt(exponent) * bottom, unit: 1n }
    : { value: digits * bottom, unit: 10n ** BigInt(-exponent) }
}
