/**
 * What can be said about a document without parsing it: where its strings and
 * comments are, whether brackets pair up, which package it names. The first
 * validation codes of sts §16.3 come from here, so that a document with several
 * faults reports the same one whether or not it also parses.
 */
import type { ForbiddenBuiltin } from './document.ts'

export interface ScannedText {
  readonly problem: 'unterminated_string' | 'unbalanced_delimiters' | null
  /** The text with strings and comments replaced by spaces; lines and columns unchanged. */
  readonly code: string
  /** Comments that stand alone on their line, without `#` and trimmed. */
  readonly lineComments: readonly string[]
}

/** Reads the text once, left to right. */
export function scanText(content: string): ScannedText {
  const code: string[] = []
  const lineComments: string[] = []
  const open: string[] = []
  let unterminated = false
  let unbalanced = false
  let blankLine = true
  let index = 0
  while (index < content.length) {
    const char = content.charAt(index)
    if (char === '\n') {
      code.push(char)
      blankLine = true
      index += 1
      continue
    }
    if (char === '#') {
      const end = indexOrEnd(content, '\n', index)
      if (blankLine) lineComments.push(content.slice(index + 1, end).trim())
      code.push(' '.repeat(end - index))
      index = end
      continue
    }
    if (char === '"' || char === '`') {
      const end = char === '`' ? content.indexOf('`', index + 1) : closingQuote(content, index)
      if (end === -1) {
        unterminated = true
        break
      }
      code.push(content.slice(index, end + 1).replace(/[^\n]/g, ' '))
      blankLine = false
      index = end + 1
      continue
    }
    if (char === '(' || char === '[' || char === '{') open.push(char)
    else if (char === ')' || char === ']' || char === '}') {
      const expected = char === ')' ? '(' : char === ']' ? '[' : '{'
      if (open.pop() !== expected) unbalanced = true
    }
    if (char !== ' ' && char !== '\t' && char !== '\r') blankLine = false
    code.push(char)
    index += 1
  }
  const problem = unterminated
    ? 'unterminated_string'
    : unbalanced || open.length > 0
      ? 'unbalanced_delimiters'
      : null
  return { problem, code: code.join(''), lineComments }
}

function indexOrEnd(content: string, char: string, from: number): number {
  const found = content.indexOf(char, from)
  return found === -1 ? content.length : found
}

function closingQuote(content: string, start: number): number {
  for (let index = start + 1; index < content.length; index += 1) {
    const char = content.charCodeAt(index)
    if (char === 92) index += 1
    else if (char === 34) return index
    else if (char === 10) return -1
    if (char === 92 && content.charCodeAt(index) === 10) return -1
  }
  return -1
}

/** The name after `package`; `null` without such a line. */
export function packageName(code: string): string | null {
  const line = /^[ \t]*package(?![A-Za-z0-9_])[ \t]*([^\s;]*)/m.exec(code)
  return line === null ? null : (line[1] ?? '')
}

export function isPackageName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(name)
}

const forbiddenBuiltins: readonly ForbiddenBuiltin[] = [
  'http.send',
  'net.lookup_ip_addr',
  'net.cidr_contains',
  'net.cidr_intersects',
  'net.cidr_expand',
  'net.cidr_merge',
  'opa.runtime',
  'rand.intn',
  'time.now_ns',
]

const forbiddenCalls = forbiddenBuiltins.map(
  (name) => [name, new RegExp(`(?<![A-Za-z0-9_.])${name.replace('.', '\\s*\\.\\s*')}\\s*\\(`)] as const,
)

/** The first forbidden function the code calls, in the order of the list. */
export function forbiddenCall(code: string): ForbiddenBuiltin | null {
  for (const [name, pattern] of forbiddenCalls) if (pattern.test(code)) return name
  return null
}

const headPattern =
  /^\s*(?:default\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(?::=|=(?!=)|\(|\[|\{|\.|contains(?![A-Za-z0-9_])|if(?![A-Za-z0-9_]))/

const notHeads = new Set(['package', 'import', 'default', 'else', 'not', 'some', 'every'])

/** Names that look like rule heads, for a document that does not parse. */
export function ruleHeads(code: string): readonly string[] {
  const heads: string[] = []
  let depth = 0
  for (const line of code.split('\n')) {
    const name = depth === 0 ? headPattern.exec(line)?.[1] : undefined
    if (name !== undefined && !notHeads.has(name)) heads.push(name)
    for (const char of line) {
      if (char === '(' || char === '[' || char === '{') depth += 1
      else if (char === ')' || char === ']' || char === '}') depth -= 1
    }
  }
  return heads
}
