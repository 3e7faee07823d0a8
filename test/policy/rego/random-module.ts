import type { GeneratorValue } from 'fast-check'
import fc from 'fast-check'

/** Draws one small module, and an input for it, from the supported language. */
export function drawModule(g: GeneratorValue): { readonly rules: string; readonly input: unknown } {
  return { rules: new ModuleDrawer(g).module(), input: drawInput(g) }
}

const inputs = {
  a: [[1, 2, 3], [], [1, 1], [2]],
  b: [
    [1, 3],
    ['x', 'y'],
    [true, 'x', 2],
  ],
  o: [{ x: 1, y: 2 }, { x: 'a' }, {}, { y: false }],
  m: [
    [
      [1, 0],
      [0, 1],
    ],
    [[1], []],
    { p: [1, 2], q: ['x'] },
  ],
  n: [0, 1, 2, 3, 1.5, -1],
  s: ['x', 'abc', '', 'a,b'],
  t: ['x', 'y'],
  f: [true, false, null],
}

/** Constants that the input holds, so that no type is known before evaluating. */
const constants: Readonly<Record<string, unknown>> = {
  n0: 0,
  n1: 1,
  n2: 2,
  half: 1.5,
  tenth: 0.1,
  minus: -1,
  sx: 'x',
  sa: 'a',
  sabc: 'abc',
  empty: '',
  yes: true,
  no: false,
  none: null,
  one: [1],
  pair: [1, 2],
  pairs: [
    [1, 2],
    [3, 4],
  ],
  words: ['x', 'a'],
  object: { k: 1, l: 'x' },
  nothing: [],
}

const constantsOf: Readonly<Record<Kind, readonly string[]>> = {
  number: ['n0', 'n1', 'n2', 'half', 'tenth', 'minus'],
  string: ['sx', 'sa', 'sabc', 'empty'],
  boolean: ['yes', 'no'],
  collection: ['one', 'pair', 'pairs', 'words', 'object', 'nothing'],
  any: Object.keys(constants),
}

function drawInput(g: GeneratorValue): unknown {
  const input: Record<string, unknown> = { c: constants }
  for (const [name, values] of Object.entries(inputs)) {
    if (g(fc.integer, { min: 0, max: 9 }) > 0) input[name] = g(fc.constantFrom, ...(values as unknown[]))
  }
  return input
}

type Kind = 'number' | 'string' | 'boolean' | 'collection' | 'any'
const kinds: readonly Kind[] = ['number', 'string', 'boolean', 'collection', 'any']

class ModuleDrawer {
  readonly #g: GeneratorValue
  readonly #rules: { name: string; kind: 'complete' | 'set' | 'object' }[] = []
  readonly #functions: string[] = []
  #names = 0
  /** Variables that may be used where a term is drawn. */
  #scope: string[] = []
  /** Declared by `some` and not used yet. */
  #unused: string[] = []

  constructor(g: GeneratorValue) {
    this.#g = g
  }

  module(): string {
    const lines: string[] = []
    const count = this.#int(1, 4)
    for (let index = 0; index < count; index += 1) lines.push(...this.#group(`r${index}`))
    return lines.join('\n')
  }

  #group(name: string): string[] {
    const shape = this.#pick(['complete', 'complete', 'set', 'object', 'function'] as const)
    const lines: string[] = []
    // Now and then enough guarded rules of one name to be worth an index.
    const isGuarded = this.#chance(5)
    const definitions = isGuarded ? 6 : this.#int(1, 2)
    if (shape === 'complete' && this.#chance(4)) lines.push(`default ${name} := ${this.#literal('any')}`)
    for (let index = 0; index < definitions; index += 1) lines.push(this.#rule(name, shape, isGuarded))
    if (shape === 'function') this.#functions.push(name)
    else this.#rules.push({ name, kind: shape })
    return lines
  }

  #rule(name: string, shape: 'complete' | 'set' | 'object' | 'function', isGuarded: boolean): string {
    this.#scope = []
    this.#unused = []
    let parameter = ''
    if (shape === 'function') {
      parameter = this.#chance(5) ? this.#literal('any') : this.#name('p')
      if (parameter.startsWith('p')) this.#scope.push(parameter)
    }
    const guard = isGuarded ? [this.#guard()] : []
    const statements = [...guard, ...this.#body(this.#int(shape === 'complete' ? 0 : 1, isGuarded ? 1 : 4))]
    const kind = this.#pick(kinds)
    const value = this.#term(kind, 2)
    const key = shape === 'object' ? this.#term(this.#pick(['string', 'number', 'any'] as const), 1) : ''
    const body = [...statements, ...this.#useUp()]
    let otherwise = ''
    if ((shape === 'complete' || shape === 'function') && body.length > 0 && this.#chance(5)) {
      this.#scope = shape === 'function' && parameter.startsWith('p') ? [parameter] : []
      const branch = this.#body(this.#int(1, 2))
      const branchValue = this.#term('any', 1)
      otherwise = ` else := ${branchValue} if {\n  ${[...branch, ...this.#useUp()].join('\n  ')}\n}`
    }
    const condition = body.length === 0 ? '' : ` if {\n  ${body.join('\n  ')}\n}`
    switch (shape) {
      case 'set':
        return `${name} contains ${value}${condition}`
      case 'object':
        return `${name}[${key}] := ${value}${condition}`
      case 'function':
        return `${name}(${parameter}) := ${value}${condition}${otherwise}`
      default:
        return `${name} := ${value}${condition}${otherwise}`
    }
  }

  #body(length: number): string[] {
    const statements: string[] = []
    for (let index = 0; index < length; index += 1) statements.push(this.#statement(2))
    return statements
  }

  #guard(): string {
    const [path, values] = this.#pick([
      ['input.s', ['"x"', '"abc"', '""', '"y"', '1']],
      ['input.n', ['0', '1', '2.0', '3', '1.5', '"x"']],
      ['input.f', ['true', 'false', 'null']],
      ['input.o.x', ['1', '"a"']],
    ] as const)
    const sides = [path, this.#pick(values)]
    if (this.#chance(3)) sides.reverse()
    return sides.join(this.#chance(3) ? ' = ' : ' == ')
  }

  /** A variable declared by `some` must be used. */
  #useUp(): string[] {
    const uses = this.#unused.map((name) => `${name} != "never"`)
    this.#unused = []
    return uses
  }

  #statement(depth: number): string {
    switch (this.#int(0, 12)) {
      case 0:
      case 1: {
        const term = this.#term(this.#pick(kinds), depth)
        const name = this.#name('x')
        this.#scope.push(name)
        return `${name} := ${term}`
      }
      case 2:
      case 3: {
        const domain = this.#term('collection', depth)
        const name = this.#name('s')
        this.#scope.push(name)
        this.#unused.push(name)
        if (!this.#chance(3)) return `some ${name} in ${domain}`
        const key = this.#name('k')
        this.#scope.push(key)
        this.#unused.push(key)
        return `some ${key}, ${name} in ${domain}`
      }
      case 4:
        return `not ${this.#condition(depth)}`
      case 5: {
        const domain = this.#term('collection', depth)
        const name = this.#name('e')
        const outer = this.#scope
        this.#scope = [...outer, name]
        const inner = this.#condition(depth - 1)
        this.#scope = outer
        return `every ${name} in ${domain} { ${name} != "never"; ${inner} }`
      }
      case 6: {
        // A reference that iterates; the index may be shared with other statements.
        const index = this.#pick(['i', 'j'])
        const base = this.#pick([
          'input.a',
          'input.b',
          'input.o',
          'input.m',
          ...this.#rules.map(({ name }) => name),
        ])
        const name = this.#name('x')
        this.#scope.push(name, index)
        return `${name} := ${base}[${index}]`
      }
      case 7: {
        const left = this.#name('y')
        const right = this.#name('y')
        const source = this.#chance(2)
          ? `[${this.#term('any', 1)}, ${this.#term('any', 1)}]`
          : this.#term('collection', 1)
        this.#scope.push(left, right)
        return `[${left}, ${right}] = ${source}`
      }
      case 8: {
        const name = this.#name('z')
        const term = this.#term(this.#pick(kinds), depth)
        this.#scope.push(name)
        return this.#chance(2) ? `${name} = ${term}` : `${term} = ${name}`
      }
      default:
        return this.#condition(depth)
    }
  }

  #condition(depth: number): string {
    switch (this.#int(0, 6)) {
      case 0:
        return this.#term('boolean', depth)
      case 1:
        return `${this.#term('number', depth)} ${this.#comparison()} ${this.#term('number', depth)}`
      case 2:
        return `${this.#term('string', depth)} ${this.#pick(['==', '!='])} ${this.#term('string', depth)}`
      case 3:
        return `${this.#term('any', depth)} ${this.#comparison()} ${this.#term('any', depth)}`
      case 4:
        return `${this.#term('any', depth)} in ${this.#term('collection', depth)}`
      case 5:
        return this.#reference()
      default:
        return `${this.#term('any', depth)} == ${this.#term('any', depth)}`
    }
  }

  #comparison(): string {
    return this.#pick(['==', '!=', '<', '<=', '>', '>='])
  }

  #term(kind: Kind, depth: number): string {
    const wanted = kind === 'any' ? this.#pick(['number', 'string', 'boolean', 'collection'] as const) : kind
    if (this.#scope.length > 0 && this.#chance(3)) return this.#pick(this.#scope)
    if (depth <= 0 || this.#chance(3)) return this.#chance(2) ? this.#reference() : this.#constant(wanted)
    if (this.#functions.length > 0 && this.#chance(6))
      return `${this.#pick(this.#functions)}(${this.#term('any', depth - 1)})`
    const next = depth - 1
    switch (wanted) {
      case 'number':
        return this.#oneOf([
          () =>
            `(${this.#term('number', next)} ${this.#pick(['+', '-', '*', '/', '%'])} ${this.#term('number', next)})`,
          () => `count(${this.#term('collection', next)})`,
          () =>
            `${this.#pick(['sum', 'max', 'min'])}([${this.#term('number', next)}, ${this.#term('number', next)}])`,
          () => `${this.#pick(['round', 'abs'])}(${this.#term('number', next)})`,
          () => `to_number(${this.#term('any', next)})`,
        ])
      case 'string':
        return this.#oneOf([
          () => `${this.#pick(['upper', 'lower'])}(${this.#term('string', next)})`,
          () => `concat(",", [${this.#term('string', next)}, ${this.#term('string', next)}])`,
          () => `sprintf("%v-%v", [${this.#term('any', next)}, ${this.#term('any', next)}])`,
          () => `replace(${this.#term('string', next)}, "a", ${this.#term('string', next)})`,
          () => `trim(${this.#term('string', next)}, "a")`,
        ])
      case 'boolean':
        return this.#oneOf([
          () =>
            `${this.#pick(['startswith', 'endswith', 'contains'])}(${this.#term('string', next)}, ${this.#term('string', next)})`,
          () =>
            `${this.#pick(['is_string', 'is_number', 'is_array', 'is_object', 'is_set', 'is_null', 'is_boolean'])}(${this.#term('any', next)})`,
          () => `(${this.#term('any', next)} ${this.#comparison()} ${this.#term('any', next)})`,
          () => `(${this.#term('any', next)} in ${this.#term('collection', next)})`,
        ])
      default:
        return this.#collection(next)
    }
  }

  #collection(depth: number): string {
    return this.#oneOf([
      () => `[${this.#term('any', depth)}, ${this.#term('any', depth)}]`,
      // Not one literal set: the reference implementation visits equal members of it twice.
      () => `({${this.#term('any', depth)}} | {${this.#term('any', depth)}})`,
      () => `{"k": ${this.#term('any', depth)}, "l": ${this.#term('any', depth)}}`,
      () => `split(${this.#term('string', depth)}, ",")`,
      () => `sort([${this.#term('any', depth)}, ${this.#term('any', depth)}])`,
      () => `({${this.#term('any', depth)}} ${this.#pick(['|', '&', '-'])} {${this.#term('any', depth)}, 1})`,
      () => `object.get(${this.#reference()}, ${this.#constant('string')}, [1])`,
      () => this.#comprehension(depth),
      () => this.#comprehension(depth),
    ])
  }

  #comprehension(depth: number): string {
    const outer = this.#scope
    const unused = this.#unused
    const domain = this.#term('collection', depth)
    const name = this.#name('c')
    this.#scope = [...outer, name]
    this.#unused = []
    const extra = this.#chance(2) ? `; ${this.#statement(depth - 1)}` : ''
    const uses = this.#useUp().map((use) => `; ${use}`)
    const head = this.#chance(2) ? name : `[${name}, ${this.#term('any', 0)}]`
    const body = `some ${name} in ${domain}; ${name} != "never"${extra}${uses.join('')}`
    const key = this.#chance(2) ? name : this.#constant('string')
    this.#scope = outer
    this.#unused = unused
    return this.#pick([`[${head} | ${body}]`, `{${head} | ${body}}`, `{${key}: ${head} | ${body}}`])
  }

  #reference(): string {
    const rules = this.#rules.map(({ name }) => name)
    return this.#pick([
      'input.n',
      'input.s',
      'input.t',
      'input.f',
      'input.a',
      'input.b',
      'input.o',
      'input.m',
      'input.a[0]',
      'input.a[1]',
      'input.b[0]',
      'input.o.x',
      'input.o.y',
      'input.m[0]',
      'input.m[1][0]',
      'input.none',
      ...rules,
      ...rules.map((name) => `${name}[${this.#constant('any')}]`),
    ])
  }

  #constant(kind: Kind): string {
    return this.#chance(4) ? this.#literal(kind) : `input.c.${this.#pick(constantsOf[kind])}`
  }

  #literal(kind: Kind): string {
    switch (kind) {
      case 'number':
        return this.#pick(['0', '1', '2', '3', '1.5', '(-1)', '0.1', '10'])
      case 'string':
        return this.#pick(['"x"', '"y"', '"a"', '"abc"', '""', '"k"', '"1"'])
      case 'boolean':
        return this.#pick(['true', 'false'])
      case 'collection':
        return this.#pick([
          '[1, 2]',
          '{1, 2}',
          '{"k": 1}',
          '[]',
          'set()',
          '{}',
          '["x", "y"]',
          '[[1, 2], [3, 4]]',
        ])
      default:
        return this.#pick(['1', '2', '"x"', '"a"', 'true', 'false', 'null', '[1]', '{"k": 1}', '{1}'])
    }
  }

  #name(prefix: string): string {
    this.#names += 1
    return `${prefix}${this.#names}`
  }

  #oneOf(makers: readonly (() => string)[]): string {
    return this.#pick(makers)()
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#int(0, values.length - 1)] as T
  }

  /** One time in `among`. */
  #chance(among: number): boolean {
    return this.#int(1, among) === among
  }

  #int(min: number, max: number): number {
    return this.#g(fc.integer, { min, max })
  }
}
