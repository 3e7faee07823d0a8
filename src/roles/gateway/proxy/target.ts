/** The upstream a directive names, parsed once per distinct URL (gateway §12.1). */
import { LRUCache } from 'lru-cache'

export interface UpstreamTarget {
  /** `scheme://host[:port]`: the key of the connection pool. */
  readonly origin: string
  readonly secure: boolean
  /** Lower case, without brackets or trailing dot. */
  readonly hostname: string
  readonly port: number
  /** Host header: host[:port]. */
  readonly host: string
  /** Decoded path of the URL. */
  readonly path: string
  /** Raw query without `?`; empty without one. */
  readonly query: string
}

const parsed = new LRUCache<string, UpstreamTarget>({ max: 10_000 })

/** `null` when the URL is not absolute http(s) with a host and without user info. */
export function parseTarget(text: string): UpstreamTarget | null {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const target = parse(text)
  if (target !== null) parsed.set(text, target)
  return target
}

function parse(text: string): UpstreamTarget | null {
  // WHATWG parsing repairs `http:host` and `http:\\host`; an operator's URL needs no repair.
  if (!/^https?:\/\/[^/\\]/i.test(text) || !URL.canParse(text)) return null
  const url = new URL(text)
  if (url.hostname === '' || url.username !== '' || url.password !== '') return null
  const path = decode(url.pathname)
  if (path === null) return null
  const secure = url.protocol === 'https:'
  return {
    origin: url.origin,
    secure,
    hostname: bareHostname(url.hostname),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    host: url.host,
    path,
    query: url.search.slice(1),
  }
}

function decode(path: string): string | null {
  try {
    return decodeURIComponent(path)
  } catch {
    return null
  }
}

function bareHostname(hostname: string): string {
  const inner = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
  return (inner.endsWith('.') ? inner.slice(0, -1) : inner).toLowerCase()
}
