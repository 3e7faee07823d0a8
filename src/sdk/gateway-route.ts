/** Whether and how a request goes through the gateway (sdk-cli-console §7). */

export interface ResourceBinding {
  readonly resourceId: string
  /** Absolute URL; requests below it belong to the resource. */
  readonly upstreamPrefix?: string | undefined
}

export interface GatewayRoute {
  readonly url: string
  readonly resourceId: string | undefined
}

const decodingRounds = 8

/** Whether `path` climbs, once decoded as often as any server on the way might decode it. */
export function climbs(path: string): boolean {
  let text = path
  for (let round = 0; round <= decodingRounds; round += 1) {
    if (text.includes('\\') || text.split(/[/]/).some((part) => part === '.' || part === '..')) return true
    let next: string
    try {
      next = decodeURIComponent(text)
    } catch {
      return false
    }
    if (next === text) return false
    text = next
  }
  // Still changing after that many rounds: nobody writes such a path in good faith.
  return true
}

/** Where the request goes, or null when it is none of the gateway's. `rawUrl` is what the caller wrote. */
export function routeToGateway(
  rawUrl: string,
  explicitResource: string | undefined,
  gatewayUrl: string | undefined,
  bindings: readonly ResourceBinding[],
): GatewayRoute | null {
  const gateway = gatewayUrl === undefined ? null : parse(gatewayUrl)
  const url = parse(rawUrl)
  if (gateway === null || url === null) return null
  if (climbs(pathAsWritten(rawUrl)) || climbs(url.pathname)) return null
  const base = gateway.pathname.replace(/\/+$/, '')
  if (url.origin === gateway.origin && isBelow(url.pathname, base))
    return { url: url.href, resourceId: explicitResource }

  const binding =
    explicitResource === undefined
      ? bindings.find((one) => prefixPath(one, url) !== null)
      : bindings.find((one) => one.resourceId === explicitResource)
  const resourceId = explicitResource ?? binding?.resourceId
  if (resourceId === undefined) return null
  const prefix = binding === undefined ? null : prefixPath(binding, url)
  const rest = prefix === null ? url.pathname : url.pathname.slice(prefix.length)
  const path = rest.startsWith('/') ? rest : `/${rest}`
  return { url: `${gateway.origin}${base}${path}${url.search}`, resourceId }
}

/** The gateway's URL for `path` of a resource. Throws `TypeError` for a path that is a URL or climbs. */
export function gatewayUrlFor(gatewayUrl: string, path: string): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(path) || path.startsWith('//'))
    throw new TypeError('the path must not be a URL of its own')
  if (climbs(path.split(/[?#]/)[0] ?? ''))
    throw new TypeError('the path must not contain dot segments or backslashes')
  const gateway = new URL(gatewayUrl)
  const base = gateway.pathname.replace(/\/+$/, '')
  return `${gateway.origin}${base}${path.startsWith('/') ? path : `/${path}`}`
}

/** The path of the binding's prefix when `url` lies below it; null otherwise. */
function prefixPath(binding: ResourceBinding, url: URL): string | null {
  const prefix = binding.upstreamPrefix === undefined ? null : parse(binding.upstreamPrefix)
  if (prefix === null || prefix.origin !== url.origin) return null
  const path = prefix.pathname.replace(/\/+$/, '')
  return isBelow(url.pathname, path) ? path : null
}

function isBelow(path: string, base: string): boolean {
  return base === '' || path === base || path.startsWith(`${base}/`)
}

function parse(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

/** The path before `URL` resolves its dot segments. */
function pathAsWritten(url: string): string {
  return (/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? url).split(/[?#]/)[0] ?? ''
}
