/**
 * regex.match over the RE2 syntax: no back references, no look-around. A
 * pattern that is malformed or uses what is not supported makes the result
 * undefined.
 */
import { type Builtin, binary, textCost } from './builtin.ts'
import { type Assertion, assemble, type Node, type PointTest, type Program, run } from './pattern.ts'
import { remembered } from './remembered.ts'

const MAX_REPEAT = 1000
const MAX_GROUPS = 100

export const regexMatch: Builtin = binary((pattern, text, machine) => {
  if (typeof pattern !== 'string' || typeof text !== 'string') return undefined
  machine.tick(textCost(text.length))
  const program = compiled(pattern, () => machine.tick(1 + pattern.length))
  return program === undefined ? undefined : run(program, text, false, machine)
})

const compiled = remembered<Program>((pattern) => {
  const node = new RegexParser(pattern).parse()
  return node === undefined ? undefined : assemble(node)
})

interface Flags {
  readonly ignoreCase: boolean
  readonly multiline: boolean
  readonly dotAll: boolean
}

class Malformed extends Error {}

class RegexParser {
  readonly #points: readonly string[]
  #index = 0
  #groups = 0
  #flags: Flags = { ignoreCase: false, multiline: false, dotAll: false }

  constructor(pattern: string) {
    this.#points = [...pattern]
  }

  parse(): Node | undefined {
    try {
      const node = this.#choice()
      return this.#index === this.#points.length ? node : undefined
    } catch (error) {
      if (error instanceof Malformed) return undefined
      throw error
    }
  }

  #choice(): Node {
    const saved = this.#flags
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#flags = saved
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'choice', parts }
  }

  #sequence(): Node {
    const parts: Node[] = []
    while (this.#index < this.#points.length && this.#peek() !== '|' && this.#peek() !== ')') {
      if (this.#takeAll('\\Q')) {
        while (this.#index < this.#points.length && !this.#takeAll('\\E'))
          parts.push(this.#literal(this.#next()))
        continue
      }
      parts.push(this.#repeated(this.#atom()))
    }
    return { kind: 'sequence', parts }
  }

  #repeated(atom: Node | null): Node {
    let node = atom
    let isRepeated = false
    for (;;) {
      const bounds = this.#quantifier()
      if (bounds === null) return node ?? { kind: 'empty' }
      // A quantifier needs something to repeat, and does not repeat another one.
      if (node === null || isRepeated) throw new Malformed()
      isRepeated = true
      this.#take('?')
      node = { kind: 'repeat', part: node, min: bounds[0], max: bounds[1] }
    }
  }

  #quantifier(): readonly [number, number | null] | null {
    if (this.#take('*')) return [0, null]
    if (this.#take('+')) return [1, null]
    if (this.#take('?')) return [0, 1]
    const match = /^\{([0-9]+)(,([0-9]*))?\}/.exec(this.#points.slice(this.#index, this.#index + 12).join(''))
    if (match === null) return null
    const [all, low = '', comma, high = ''] = match
    this.#index += all.length
    const min = Number(low)
    const max = comma === undefined ? min : high === '' ? null : Number(high)
    if (min > MAX_REPEAT || (max !== null && (max > MAX_REPEAT || max < min))) throw new Malformed()
    return [min, max]
  }

  /** `null` for what cannot be repeated because it is nothing: a flag group. */
  #atom(): Node | null {
    const char = this.#next()
    switch (char) {
      case '.':
        return this.#flags.dotAll ? point(() => true) : point((code) => code !== 10)
      case '^':
        return assertion(
          this.#flags.multiline ? (before) => before === -1 || before === 10 : (before) => before === -1,
        )
      case '$':
        return assertion(
          this.#flags.multiline
            ? (_before, after) => after === -1 || after === 10
            : (_before, after) => after === -1,
        )
      case '[':
        return point(this.#folded(this.#class()))
      case '(':
        return this.#group()
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw new Malformed()
      default:
        return this.#literal(char)
    }
  }

  #group(): Node | null {
    this.#groups += 1
    if (this.#groups > MAX_GROUPS) throw new Malformed()
    const saved = this.#flags
    if (this.#take('?')) {
      const rest = this.#points.slice(this.#index, this.#index + 64).join('')
      const named = /^P?<[A-Za-z_][A-Za-z0-9_]*>/.exec(rest)
      if (named !== null) this.#index += named[0].length
      else {
        const flags = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest)
        if (flags === null || flags[0] === ')') throw new Malformed()
        this.#index += flags[0].length
        this.#flags = changed(changed(saved, flags[1] ?? '', true), flags[2] ?? '', false)
        if (flags[3] === ')') return null
      }
    }
    const node = this.#choice()
    this.#flags = saved
    if (!this.#take(')')) throw new Malformed()
    return node
  }

  #escape(): Node {
    const char = this.#next()
    switch (char) {
      case 'A':
        return assertion((before) => before === -1)
      case 'z':
        return assertion((_before, after) => after === -1)
      case 'b':
        return assertion((before, after) => isWord(before) !== isWord(after))
      case 'B':
        return assertion((before, after) => isWord(before) === isWord(after))
      default:
    }
    this.#index -= 1
    const test = this.#classEscape()
    if (test !== null) return point(this.#folded(test))
    return this.#literal(String.fromCodePoint(this.#pointEscape()))
  }

  /** `\d`, `\pL` and the like; the index stands behind the backslash. */
  #classEscape(): PointTest | null {
    const char = this.#next()
    const perl = perlClasses[char.toLowerCase()]
    if (perl !== undefined) return char === char.toLowerCase() ? perl : negated(perl)
    if (char !== 'p' && char !== 'P') {
      this.#index -= 1
      return null
    }
    let name = this.#next()
    let isNegated = char === 'P'
    if (name === '{') {
      name = ''
      if (this.#take('^')) isNegated = !isNegated
      for (let part = this.#next(); part !== '}'; part = this.#next()) name += part
    }
    const test = unicodeClass(name)
    return isNegated ? negated(test) : test
  }

  #pointEscape(): number {
    const char = this.#next()
    const control = controls[char]
    if (control !== undefined) return control
    if (char === 'x') {
      const rest = this.#points.slice(this.#index, this.#index + 10).join('')
      const hex = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})/.exec(rest)
      const code = hex === null ? Number.NaN : Number.parseInt(hex[1] ?? hex[2] ?? '', 16)
      if (hex === null || !(code <= 0x10ffff)) throw new Malformed()
      this.#index += hex[0].length
      return code
    }
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(
      char + this.#points.slice(this.#index, this.#index + 2).join(''),
    )
    if (octal !== null) {
      this.#index += octal[0].length - 1
      return Number.parseInt(octal[0], 8)
    }
    if (/[A-Za-z0-9]/.test(char) || (char.codePointAt(0) ?? 0) > 127) throw new Malformed()
    return char.codePointAt(0) ?? 0
  }

  #class(): PointTest {
    const isNegated = this.#take('^')
    const tests: PointTest[] = []
    let isFirst = true
    while (isFirst || this.#peek() !== ']') {
      isFirst = false
      const named = /^\[:(\^?)([a-z]+):\]/.exec(this.#points.slice(this.#index, this.#index + 14).join(''))
      if (named !== null) {
        const test = posixClasses[named[2] ?? '']
        if (test === undefined) throw new Malformed()
        this.#index += named[0].length
        tests.push(named[1] === '^' ? negated(test) : test)
        continue
      }
      if (this.#peek() === '\\') {
        this.#next()
        const escaped = this.#classEscape()
        if (escaped !== null) {
          tests.push(escaped)
          continue
        }
        tests.push(this.#range(this.#pointEscape()))
        continue
      }
      tests.push(this.#range(this.#next().codePointAt(0) ?? 0))
    }
    this.#next()
    const any: PointTest = (code) => tests.some((test) => test(code))
    const folded = this.#folded(any)
    return isNegated ? negated(folded) : folded
  }

  #range(low: number): PointTest {
    if (
      this.#peek() !== '-' ||
      this.#points[this.#index + 1] === ']' ||
      this.#points[this.#index + 1] === undefined
    ) {
      return (code) => code === low
    }
    this.#next()
    const char = this.#next()
    const high = char === '\\' ? this.#pointEscape() : (char.codePointAt(0) ?? 0)
    if (high < low) throw new Malformed()
    return (code) => code >= low && code <= high
  }

  #literal(char: string): Node {
    const wanted = char.codePointAt(0) ?? 0
    return point(this.#folded((code) => code === wanted))
  }

  #folded(test: PointTest): PointTest {
    if (!this.#flags.ignoreCase) return test
    return (code) => {
      if (test(code)) return true
      const text = String.fromCodePoint(code)
      const lower = text.toLowerCase()
      const upper = text.toUpperCase()
      return test(lower.codePointAt(0) ?? code) || test(upper.codePointAt(0) ?? code)
    }
  }

  #peek(): string | undefined {
    return this.#points[this.#index]
  }

  #next(): string {
    const char = this.#points[this.#index]
    if (char === undefined) throw new Malformed()
    this.#index += 1
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#index += 1
    return true
  }

  #takeAll(text: string): boolean {
    if (!text.split('').every((char, offset) => this.#points[this.#index + offset] === char)) return false
    this.#index += text.length
    return true
  }
}

function changed(flags: Flags, letters: string, value: boolean): Flags {
  return {
    ignoreCase: letters.includes('i') ? value : flags.ignoreCase,
    multiline: letters.includes('m') ? value : flags.multiline,
    dotAll: letters.includes('s') ? value : flags.dotAll,
  }
}

function point(test: PointTest): Node {
  return { kind: 'point', test }
}

function assertion(where: Assertion): Node {
  return { kind: 'assert', where }
}

function negated(test: PointTest): PointTest {
  return (code) => !test(code)
}

function between(low: string, high: string): PointTest {
  const from = low.charCodeAt(0)
  const to = high.charCodeAt(0)
  return (code) => code >= from && code <= to
}

function anyOf(...tests: readonly PointTest[]): PointTest {
  return (code) => tests.some((test) => test(code))
}

const isDigit = between('0', '9')
const isLower = between('a', 'z')
const isUpper = between('A', 'Z')
const isAlpha = anyOf(isLower, isUpper)
const isWord = anyOf(isAlpha, isDigit, (code) => code === 95)

const perlClasses: Readonly<Record<string, PointTest>> = {
  d: isDigit,
  w: isWord,
  s: (code) => code === 9 || code === 10 || code === 12 || code === 13 || code === 32,
}

const posixClasses: Readonly<Record<string, PointTest>> = {
  alnum: anyOf(isAlpha, isDigit),
  alpha: isAlpha,
  ascii: (code) => code <= 127,
  blank: (code) => code === 9 || code === 32,
  cntrl: (code) => code <= 31 || code === 127,
  digit: isDigit,
  graph: between('!', '~'),
  lower: isLower,
  print: between(' ', '~'),
  punct: anyOf(between('!', '/'), between(':', '@'), between('[', '`'), between('{', '~')),
  space: (code) => (code >= 9 && code <= 13) || code === 32,
  upper: isUpper,
  word: isWord,
  xdigit: anyOf(isDigit, between('a', 'f'), between('A', 'F')),
}

const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }

/** A general category (`L`, `Lu`) or a script (`Greek`). */
function unicodeClass(name: string): PointTest {
  if (!/^[A-Za-z_]+$/.test(name)) throw new Malformed()
  for (const property of [`General_Category=${name}`, `Script=${name}`]) {
    try {
      const expression = new RegExp(`^\\p{${property}}$`, 'u')
      return (code) => expression.test(String.fromCodePoint(code))
    } catch {
      // Not a name of this property.
    }
  }
  throw new Malformed()
}
