/** What is read of a Node request, also of the one behind a Hono context. */
import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'

/** Absent under `app.request`. */
export function incomingOf(c: Context): IncomingMessage | undefined {
  return (c.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming
}

/** A header by its lower-case name, without making a `Headers` of all of them: on hot routes that is felt. */
export function headerOf(c: Context, name: string): string | undefined {
  const incoming = incomingOf(c)
  return incoming === undefined ? c.req.header(name) : headerIn(incoming, name)
}

/** The same of the Node request itself. */
export function headerIn({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

const slash = 47

/**
 * The target with one slash where it begins with several: v1's TypeScript client joins a base URL that ends
 * in a slash without trimming it. For whoever receives a request, before anything looks at its path.
 */
export function withOneSlash(target: string): string {
  return target.charCodeAt(1) === slash ? target.replace(/^\/+/, '/') : target
}

/** The escaped path of a request target as it was sent, without the query. */
export function pathOf(target: string): string {
  const end = target.indexOf('?')
  return end < 0 ? target : target.slice(0, end)
}

/** What a caller meant with text outside ASCII: Node hands its bytes through as Latin-1 characters. */
export function utf8Of(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is meant
  return /[^\u0000-\u007f]/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text
}
