/**
 * Where a change may come from (sdk-cli-console §13.2). The console answers on more than one address, so the
 * request's own host counts too, but only a host that nobody can point at this machine by name: a page of
 * another site whose name was rebound to us carries that name in `Host` as well.
 */
import { isIP } from 'node:net'
import type { Context } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { headerOf, incomingOf } from '../../../platform/http/incoming.ts'
import type { Control } from '../control.ts'

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export const isSafe = (method: string): boolean => safeMethods.has(method)

/** The origin of the page that sends the request: `Origin`, else that of the `Referer`. */
function sourceOf(c: Context): string | null {
  const origin = headerOf(c, 'origin')
  if (origin !== undefined) return origin
  const referer = headerOf(c, 'referer')
  return referer !== undefined && URL.canParse(referer) ? new URL(referer).origin : null
}

function schemeOf(c: Context, trustProxy: boolean): string {
  const forwarded = trustProxy ? headerOf(c, 'x-forwarded-proto')?.split(',').at(-1)?.trim() : undefined
  if (forwarded === 'https' || forwarded === 'http') return forwarded
  const socket = incomingOf(c)?.socket as { readonly encrypted?: boolean } | undefined
  if (socket === undefined) return new URL(c.req.url).protocol.slice(0, -1)
  return socket.encrypted === true ? 'https' : 'http'
}

const isAddress = (hostname: string): boolean => isIP(hostname.replace(/^\[|\]$/g, '')) !== 0

/** Throws 403 `cross_site_request_blocked` for a change that the console's own pages did not send. */
export function createOriginCheck({ settings }: Pick<Control, 'settings'>): (c: Context) => void {
  const listed = [settings.CARACAL_WEB_URL, settings.CARACAL_WEB_ORIGIN].flatMap((url) =>
    url === null ? [] : [new URL(url)],
  )
  const origins = new Set(listed.map(({ origin }) => origin))
  const names = new Set(['localhost', ...listed.map(({ hostname }) => hostname)])

  const ownOrigin = (c: Context): string | null => {
    const url = `${schemeOf(c, settings.TRUST_PROXY)}://${headerOf(c, 'host') ?? new URL(c.req.url).host}`
    if (!URL.canParse(url)) return null
    const { hostname, origin } = new URL(url)
    return names.has(hostname) || isAddress(hostname) ? origin : null
  }

  return (c) => {
    if (isSafe(c.req.method)) return
    const source = sourceOf(c)
    if (source !== null && (origins.has(source) || source === ownOrigin(c))) return
    throw errorOf('cross_site_request_blocked')
  }
}
