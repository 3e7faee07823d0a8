/**
 * Which paths are the console's, and which spellings of a path are not answered at all. A URL is normalised
 * before any route sees it, so what was really sent is read from the connection.
 */
import type { Context } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { incomingOf, pathOf } from '../../../platform/http/incoming.ts'

export const API = '/api/console'
/** Where providers send the browser back to, as v1 has it: operators have it registered there. */
export const CALLBACK = '/api/auth/callback'

const own = /^\/+(?:(?:console|assets|api\/console|api\/auth\/callback)(?:\/|$)|favicon\.svg$)/
const disguised = /\.\.|%2e|%2f|%5c|\\/i

export function isConsolePath(path: string): boolean {
  return own.test(path)
}

export function isApiPath(path: string): boolean {
  return [API, CALLBACK].some((own) => path === own || path.startsWith(`${own}/`))
}

/** Throws 404 where a disguised path starts or ends in the console, whatever else it would lead to. */
export function refuseDisguised(c: Context): void {
  const sent = sentPath(c)
  if (isPlain(sent)) return
  if (isConsolePath(sent) || isConsolePath(c.req.path)) throw errorOf('not_found')
}

/** The path as it was sent, dots and escapes included. */
export function sentPath(c: Context): string {
  const target = incomingOf(c)?.url
  return target === undefined ? c.req.path : pathOf(target)
}

/** True when the path says outright where it leads (sdk-cli-console §13.2). */
export function isPlain(path: string): boolean {
  return !disguised.test(path)
}
