/** The Node request behind a Hono context. */
import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'

/** Absent under `app.request`. */
export function incomingOf(c: Context): IncomingMessage | undefined {
  return (c.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming
}

/** A header by its lower-case name, without making a `Headers` of all of them: on hot routes that is felt. */
export function headerOf(c: Context, name: string): string | undefined {
  const incoming = incomingOf(c)
  if (incoming === undefined) return c.req.header(name)
  const value = incoming.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
