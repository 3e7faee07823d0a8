/** String functions. Case mapping is one code point to one, whatever the language. */
import { isArray, RegoSet, type Value } from '../value.ts'
import { type Builtin, binary, textCost, unary } from './builtin.ts'

export const stringBuiltins: Readonly<Record<string, Builtin>> = {
  startswith: binary((text, prefix) => both(text, prefix, (a, b) => a.startsWith(b))),
  endswith: binary((text, suffix) => both(text, suffix, (a, b) => a.endsWith(b))),
  contains: binary((text, part, machine) =>
    both(text, part, (a, b) => {
      machine.tick(textCost(a.length))
      return a.includes(b)
    }),
  ),
  lower: unary((text, machine) => {
    if (typeof text !== 'string') return undefined
    machine.tick(textCost(text.length))
    return mapPoints(text, lowerPoint)
  }),
  upper: unary((text, machine) => {
    if (typeof text !== 'string') return undefined
    machine.tick(textCost(text.length))
    return mapPoints(text, upperPoint)
  }),
  split: binary((text, separator, machine) =>
    both(text, separator, (a, b) => {
      machine.tick(1 + a.length)
      return b === '' ? [...a] : a.split(b)
    }),
  ),
  concat: binary((separator, parts, machine) => {
    const strings = stringsOf(parts)
    if (typeof separator !== 'string' || strings === undefined) return undefined
    let length = separator.length * strings.length
    for (const part of strings) length += part.length
    machine.tick(strings.length + textCost(length))
    return strings.join(separator)
  }),
  trim: binary((text, cutset, machine) =>
    both(text, cutset, (a, b) => {
      machine.tick(textCost(a.length + b.length))
      const cut = new Set(b)
      const points = [...a]
      let start = 0
      let end = points.length
      while (start < end && cut.has(points[start] as string)) start += 1
      while (end > start && cut.has(points[end - 1] as string)) end -= 1
      return points.slice(start, end).join('')
    }),
  ),
  replace: {
    arity: 3,
    call: (machine, [text, old, replacement]) => {
      if (typeof text !== 'string' || typeof old !== 'string' || typeof replacement !== 'string')
        return undefined
      const parts = old === '' ? ['', ...text, ''] : text.split(old)
      machine.tick(textCost(text.length) + parts.length * textCost(replacement.length))
      return parts.join(replacement)
    },
  },
}

function both<T>(left: Value, right: Value, call: (left: string, right: string) => T): T | undefined {
  return typeof left === 'string' && typeof right === 'string' ? call(left, right) : undefined
}

function stringsOf(value: Value): readonly string[] | undefined {
  const members = isArray(value) ? value : value instanceof RegoSet ? value.sorted : undefined
  if (members === undefined || !members.every((member) => typeof member === 'string')) return undefined
  return members as readonly string[]
}

function mapPoints(text: string, map: (point: string) => string): string {
  let mapped = ''
  for (const point of text) mapped += map(point)
  return mapped
}

function lowerPoint(point: string): string {
  const [first = point] = point.toLowerCase()
  return first
}

function upperPoint(point: string): string {
  const upper = point.toUpperCase()
  const [first = point, ...more] = upper
  if (more.length === 0) return first
  // One to many here, but Greek letters with iota below have a single capital too.
  const title = greekCapital(point.codePointAt(0) ?? 0)
  return title === undefined ? point : String.fromCodePoint(title)
}

function greekCapital(code: number): number | undefined {
  if (code >= 0x1f80 && code <= 0x1faf && (code & 8) === 0) return code + 8
  if (code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3) return code + 9
  return undefined
}
