/** Upstream → caller headers (gateway §14.3). */
import { connectionOptions, isHopByHop } from './request-headers.ts'

/** Header record as undici parses it: lower-cased names, lists for repeated ones. */
export type UpstreamHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

const removed = new Set([
  'server',
  'x-powered-by',
  'x-aspnet-version',
  'x-aspnetmvc-version',
  'refresh',
  'x-request-id',
])

const mayPass = (name: string, listed: ReadonlySet<string> | null): boolean =>
  !isHopByHop(name) && !removed.has(name) && !name.startsWith('x-caracal-') && !listed?.has(name)

/** A shorter one is in too much by chance. */
const shortestSecret = 8

/** True when `text` says something back that the upstream was told in confidence. */
export const tells = (text: string, secrets: readonly string[]): boolean =>
  secrets.some((secret) => secret.length >= shortestSecret && text.includes(secret))

/**
 * A flat name, value list of what may reach the caller, which is nothing that tells one of the `secrets`. The
 * length comes last: Node decodes a Content-Disposition that follows one, and then refuses what it has decoded.
 */
export function passResponseHeaders(upstream: UpstreamHeaders, secrets: readonly string[]): string[] {
  const listed = connectionOptions(joined(upstream.connection))
  const headers: string[] = []
  for (const name of Object.keys(upstream)) {
    if (name === 'content-length' || !mayPass(name, listed)) continue
    const value = upstream[name]
    if (value === undefined) continue
    const relativeOnly = name === 'location' || name === 'content-location'
    if (typeof value === 'string') {
      if ((!relativeOnly || isRelative(value)) && !tells(value, secrets)) headers.push(name, value)
    } else {
      for (const one of value) {
        if ((!relativeOnly || isRelative(one)) && !tells(one, secrets)) headers.push(name, one)
      }
    }
  }
  const length = joined(upstream['content-length'])
  if (length !== undefined) headers.push('content-length', length)
  return headers
}

/** Fields that frame or route a message have no business in a trailer (RFC 9110 §6.5.1). */
const neverInTrailers = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'date',
  'expires',
  'host',
  'location',
  'set-cookie',
  'vary',
])

export function passTrailers(upstream: UpstreamHeaders, secrets: readonly string[]): [string, string][] {
  const trailers: [string, string][] = []
  for (const name of Object.keys(upstream)) {
    if (!mayPass(name, null) || neverInTrailers.has(name)) continue
    const value = upstream[name]
    if (value === undefined) continue
    for (const one of typeof value === 'string' ? [value] : value) {
      if (!tells(one, secrets)) trailers.push([name, one])
    }
  }
  return trailers
}

const joined = (value: string | readonly string[] | undefined): string | undefined =>
  value === undefined || typeof value === 'string' ? value : value.join(',')

/** Relative references without scheme and authority; anything a browser would read as absolute is not. */
function isRelative(reference: string): boolean {
  // Browsers ignore tab and line breaks inside, trim controls in front, and read `\` as `/`.
  const seen = reference
    .replace(/[\t\n\r]/g, '')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters browsers skip
    .replace(/^[\u0000-\u0020]+/, '')
    .replaceAll('\\', '/')
  if (seen.startsWith('//')) return false
  if (/^[a-z][a-z0-9+.-]*:/i.test(seen)) return false
  return URL.canParse(seen, 'http://relative.invalid/')
}
