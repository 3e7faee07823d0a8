/**
 * Numbers. A `number` stands for the shortest decimal that prints it, so what a
 * document or an input wrote is what is compared. A decimal no double prints
 * (an integer above 2^53, a literal of 20 digits) is a `WideNumber`.
 * Comparison is exact. Arithmetic on small integers is exact; anything else is
 * rounded to 64 significant bits like the reference implementation rounds it.
 */

/** digits × 10^exponent, digits not divisible by ten. Never equal to any `number`. */
export class WideNumber {
  readonly digits: bigint
  readonly exponent: number

  constructor(digits: bigint, exponent: number) {
    this.digits = digits
    this.exponent = exponent
  }

  /** Nearest double. */
  toNumber(): number {
    return Number(`${this.digits}e${this.exponent}`)
  }

  /** All digits; a fraction from a million on, or below 0.0001, with an exponent. */
  toString(): string {
    const sign = this.digits < 0n ? '-' : ''
    const digits = (this.digits < 0n ? -this.digits : this.digits).toString()
    if (this.exponent >= 0) return `${sign}${digits}${'0'.repeat(this.exponent)}`
    const power = digits.length - 1 + this.exponent
    if (power < -4 || power >= 6) {
      const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
      return `${sign}${digits.charAt(0)}${fraction}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
    }
    const padded = digits.padStart(1 - this.exponent, '0')
    return `${sign}${padded.slice(0, this.exponent)}.${padded.slice(this.exponent)}`
  }
}

export type Numeric = number | WideNumber

/** Magnitudes outside 10^±MAX_EXPONENT are refused in literals and undefined as results. */
export const MAX_EXPONENT = 400

/** Reads JSON number syntax; `undefined` when it is none or its magnitude is out of range. */
export function parseNumeric(text: string): Numeric | undefined {
  const parts = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text)
  if (parts === null) return undefined
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts
  const exponent = Number(power) - fraction.length
  if (Math.abs(exponent) > MAX_EXPONENT || whole.length + fraction.length > MAX_EXPONENT) return undefined
  const magnitude = BigInt(whole + fraction)
  return fromDecimal(sign === '-' ? -magnitude : magnitude, exponent)
}

/** The canonical form of digits × 10^exponent. */
export function fromDecimal(digits: bigint, exponent: number): Numeric {
  if (digits === 0n) return 0
  let reduced = digits
  let power = exponent
  while (reduced % 10n === 0n) {
    reduced /= 10n
    power += 1
  }
  const double = Number(`${reduced}e${power}`)
  if (Number.isFinite(double) && double !== 0) {
    const printed = decimalOf(double)
    if (printed.digits === reduced && printed.exponent === power) return double
  }
  return new WideNumber(reduced, power)
}

interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

/** The decimal a number stands for, digits not divisible by ten. */
export function decimalOf(value: Numeric): Decimal {
  if (typeof value !== 'number') return value
  if (value === 0 || !Number.isFinite(value)) return { digits: 0n, exponent: 0 }
  const [mantissa = '', power = '0'] = value.toExponential().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  let digits = BigInt(whole + fraction)
  let exponent = Number(power) - fraction.length
  while (digits % 10n === 0n) {
    digits /= 10n
    exponent += 1
  }
  return { digits, exponent }
}

export function numberKey(value: WideNumber): string {
  return `n${value.digits}e${value.exponent}`
}

export function compareNumbers(a: Numeric, b: Numeric): number {
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : a > b ? 1 : 0
  const left = decimalOf(a)
  const right = decimalOf(b)
  const power = Math.min(left.exponent, right.exponent)
  const difference =
    left.digits * 10n ** BigInt(left.exponent - power) - right.digits * 10n ** BigInt(right.exponent - power)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
