/**
 * Sending a browser's request on and its answer back. Only the headers named here go with it: no cookie, no
 * credential and no attribution that a page could have made up.
 */
import type { Context } from 'hono'
import type { StatusCode } from 'hono/utils/http-status'
import { readBody } from '../../../platform/http/body.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { headerOf, incomingOf } from '../../../platform/http/incoming.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import { isSafe } from './origins.ts'

export const BODY_BYTES = 1_048_576
const ANSWER_MS = 30_000

const sentOn = ['accept', 'content-type', 'idempotency-key', 'last-event-id', 'traceparent', 'tracestate']

/** Of one connection, or no longer true of what is sent on. */
const notRelayed: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'set-cookie',
  'transfer-encoding',
  'upgrade',
])

/** The same request for another place, under the same request id. */
export async function requestFor(
  c: Context,
  target: URL,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<Request> {
  const { method } = c.req
  const own = new Headers({ ...headers, 'x-request-id': requestContext(c).requestId })
  for (const name of sentOn) {
    const value = headerOf(c, name)
    if (value !== undefined) own.set(name, value)
  }
  if (isSafe(method)) return new Request(target, { method, headers: own, signal })
  const body = await readBody(c, BODY_BYTES)
  // A declared length is not counted again, and the request stays the one that was handed over.
  own.set('content-length', String(body.byteLength))
  return new Request(target, { method, headers: own, signal, body: body.byteLength === 0 ? null : body })
}

/** The connection behind the request, for what reads its headers there. The peer stays who it is. */
export function envFor(c: Context, request: Request): object {
  const incoming = incomingOf(c)
  const env = (c.env ?? {}) as object
  if (incoming === undefined) return env
  const forwarded = incoming.headers['x-forwarded-for']
  const headers = {
    ...Object.fromEntries(request.headers),
    ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }),
  }
  const { pathname, search } = new URL(request.url)
  const seen = { headers, rawHeaders: [], url: pathname + search, socket: incoming.socket }
  return { ...env, incoming: Object.create(incoming, Object.getOwnPropertyDescriptors(seen)) as object }
}

/**
 * What `send` answers, headers and body as they come. Throws 504 `upstream_timeout` when it has not begun within
 * thirty seconds; an event stream, once begun, lasts as long as it likes.
 */
export async function answerOf(
  c: Context,
  send: (signal: AbortSignal) => Promise<Response>,
): Promise<Response> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(errorOf('upstream_timeout'))
      late.abort()
    }, ANSWER_MS)
  })
  try {
    const response = await Promise.race([send(AbortSignal.any([c.req.raw.signal, late.signal])), expired])
    const headers = new Headers()
    for (const [name, value] of response.headers) if (!notRelayed.has(name)) headers.append(name, value)
    return c.newResponse(response.body, { status: response.status as StatusCode, headers })
  } finally {
    clearTimeout(timer)
  }
}
