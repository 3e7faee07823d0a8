/**
 * Paths and queries between caller and upstream (gateway §13). A path is decoded
 * once for every decision (traversal, operation floor, join) and encoded again from
 * that decoded form, so what was judged is what is sent.
 */
import { utf8Of } from '../../../platform/http/incoming.ts'

const plain = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/

/** The percent-decoded path, or `null` when it cannot be decoded. */
export function decodePath(raw: string): string | null {
  if (plain.test(raw)) return raw
  try {
    return decodeURIComponent(utf8Of(raw))
  } catch {
    return null
  }
}

/** Nobody escapes a path so often in earnest; each further time costs another pass, before anybody is known. */
const mostDecodings = 8

/** True when a decoded path climbs, at any depth of further decoding (§13.1), or is escaped deeper than is looked. */
export function traverses(path: string): boolean {
  let current = path
  for (let decodings = 0; ; decodings += 1) {
    if (current.includes('\\') || decodings > mostDecodings) return true
    if (!current.includes('%')) break
    let next: string
    try {
      next = decodeURIComponent(current)
    } catch {
      return true
    }
    if (next === current) break
    current = next
  }
  if (!current.includes('.')) return false
  // Some servers drop everything from `;` on before they resolve dots.
  return current.split('/').some((segment) => /^\.{1,2}(;|$)/.test(segment))
}

/** Joins the decoded upstream path and the decoded request path (§13.2). */
export function joinPaths(upstream: string, request: string): string {
  if (upstream === '' || upstream === '/') return request === '' ? '/' : request
  if (request === '' || request === '/') return upstream
  return `${upstream}/${request}`.replace(/\/{2,}/g, '/')
}

/** Percent-encodes a decoded path; characters RFC 3986 allows in a path stay as they are. */
export function encodePath(path: string): string {
  if (plain.test(path)) return path
  return path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/]+/gu, encodeURIComponent)
}

/** The same of a raw path that can be decoded, segment by segment: an escaped slash stays one. */
export function encodeSegments(raw: string): string {
  const encode = (segment: string): string =>
    encodePath(decodePath(segment) ?? segment).replaceAll('/', '%2F')
  return raw.split('/').map(encode).join('/')
}

type Pair = readonly [name: string, value: string]

/** Form-decodes a raw query, or `null` when an escape is broken or `;` makes it ambiguous. */
function parseQuery(raw: string): Pair[] | null {
  if (raw.includes(';')) return null
  const pairs: Pair[] = []
  for (const part of raw.split('&')) {
    if (part === '') continue
    const at = part.indexOf('=')
    try {
      const text = (encoded: string): string => decodeURIComponent(encoded.replaceAll('+', ' '))
      pairs.push(at < 0 ? [text(part), ''] : [text(part.slice(0, at)), text(part.slice(at + 1))])
    } catch {
      return null
    }
  }
  return pairs
}

export interface QueryCredential {
  readonly name: string
  readonly value: string
}

/**
 * The upstream query without `?`: the upstream URL's parameters win by name, a
 * query credential wins over everything (§13.3). The caller's raw query passes
 * unchanged when there is nothing to merge. `null` when a query cannot be parsed.
 */
export function mergeQueries(
  upstream: string,
  caller: string | null,
  credential: QueryCredential | null,
): string | null {
  if (upstream === '' && credential === null) return caller ?? ''
  const fixed = parseQuery(upstream)
  const extra = parseQuery(caller ?? '')
  if (fixed === null || extra === null) return null
  const taken = new Set(fixed.map(([name]) => name))
  let pairs = [...fixed, ...extra.filter(([name]) => !taken.has(name))]
  if (credential !== null) {
    pairs = pairs.filter(([name]) => name !== credential.name)
    pairs.push([credential.name, credential.value])
  }
  return new URLSearchParams(pairs as [string, string][]).toString()
}
