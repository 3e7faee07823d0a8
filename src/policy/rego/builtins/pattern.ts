/**
 * Pattern matching in linear time: a pattern becomes a small program, and the
 * program runs over the text with one set of threads, so no pattern and no text
 * can make it slow. Every thread step is accounted for.
 */
import type { Machine } from '../machine.ts'

/** One code point test. */
export type PointTest = (code: number) => boolean

export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'point'; readonly test: PointTest }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number | null }
  | { readonly kind: 'assert'; readonly where: Assertion }

/** Whether a place between two code points (-1 outside the text) qualifies. */
export type Assertion = (before: number, after: number) => boolean

type Instruction =
  | { readonly op: 'point'; readonly test: PointTest }
  | { readonly op: 'assert'; readonly where: Assertion }
  | { readonly op: 'split'; first: number; second: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'match' }

export type Program = readonly Instruction[]

/** Instructions per pattern; repetition multiplies. */
const MAX_INSTRUCTIONS = 5_000

/** `undefined` when the pattern is too large. */
export function assemble(node: Node): Program | undefined {
  const program: Instruction[] = []
  const emit = (part: Node): boolean => {
    if (program.length > MAX_INSTRUCTIONS) return false
    switch (part.kind) {
      case 'empty':
        return true
      case 'point':
        program.push({ op: 'point', test: part.test })
        return true
      case 'assert':
        program.push({ op: 'assert', where: part.where })
        return true
      case 'sequence':
        return part.parts.every(emit)
      case 'choice':
        return emitChoice(part.parts)
      default:
        return emitRepeat(part.part, part.min, part.max)
    }
  }
  const emitChoice = (parts: readonly Node[]): boolean => {
    const jumps: { op: 'jump'; to: number }[] = []
    for (const [index, part] of parts.entries()) {
      if (index === parts.length - 1) {
        if (!emit(part)) return false
        continue
      }
      const split = { op: 'split' as const, first: program.length + 1, second: 0 }
      program.push(split)
      if (!emit(part)) return false
      const jump = { op: 'jump' as const, to: 0 }
      jumps.push(jump)
      program.push(jump)
      split.second = program.length
    }
    for (const jump of jumps) jump.to = program.length
    return true
  }
  const emitRepeat = (part: Node, min: number, max: number | null): boolean => {
    for (let count = 0; count < min; count += 1) if (!emit(part)) return false
    if (max === null) {
      const split = { op: 'split' as const, first: program.length + 1, second: 0 }
      const start = program.length
      program.push(split)
      if (!emit(part)) return false
      program.push({ op: 'jump', to: start })
      split.second = program.length
      return true
    }
    const splits: { op: 'split'; first: number; second: number }[] = []
    for (let count = min; count < max; count += 1) {
      const split = { op: 'split' as const, first: program.length + 1, second: 0 }
      splits.push(split)
      program.push(split)
      if (!emit(part)) return false
    }
    for (const split of splits) split.second = program.length
    return true
  }
  if (!emit(node)) return undefined
  program.push({ op: 'match' })
  return program.length > MAX_INSTRUCTIONS ? undefined : program
}

/** Whether the program matches: anywhere in the text, or the whole of it. */
export function run(program: Program, text: string, isWhole: boolean, machine: Machine): boolean {
  const points = Array.from(text, (point) => point.codePointAt(0) ?? 0)
  const mark = new Int32Array(program.length).fill(-1)
  let threads: number[] = []
  let matched = false

  const follow = (start: number, position: number, into: number[]): void => {
    const pending = [start]
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (mark[at] === position) continue
      mark[at] = position
      const instruction = program[at] as Instruction
      switch (instruction.op) {
        case 'jump':
          pending.push(instruction.to)
          break
        case 'split':
          pending.push(instruction.second, instruction.first)
          break
        case 'assert':
          if (instruction.where(points[position - 1] ?? -1, points[position] ?? -1)) pending.push(at + 1)
          break
        case 'match':
          if (!isWhole || position === points.length) matched = true
          break
        default:
          into.push(at)
      }
    }
  }

  for (let position = 0; position <= points.length; position += 1) {
    if (!isWhole || position === 0) follow(0, position, threads)
    if (matched) return true
    const code = points[position]
    if (code === undefined || (threads.length === 0 && isWhole)) break
    machine.tick(1 + (threads.length >> 2))
    const following: number[] = []
    for (const at of threads) {
      const instruction = program[at] as Instruction
      if (instruction.op === 'point' && instruction.test(code)) follow(at + 1, position + 1, following)
    }
    if (matched) return true
    threads = following
  }
  return matched
}
