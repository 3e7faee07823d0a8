/**
 * An endpoint served straight from the Node request, for paths on which the objects in between are felt.
 * It takes only what is plain: a POST to one of its paths with a declared body within its limit, from a
 * host that needs no second look. Everything else goes on to the app, whose route answers with the same
 * handler, so that every refusal is written once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { CaracalError } from '../errors.ts'
import type { Role } from '../role.ts'
import { headerIn } from './incoming.ts'
import type { ErrorAnswer } from './render-error.ts'
import type { RequestContext } from './request-context.ts'
import type { Arrival, Visit } from './visit.ts'

/** A request as a handler sees it that serves both ways. */
export interface PlainRequest {
  readonly method: string
  /** Path and query, as they were sent. */
  readonly target: string
  readonly context: RequestContext
  /** Aborted when the caller leaves; made on first use. */
  readonly signal: AbortSignal
  /** By its lower-case name. */
  header(name: string): string | undefined
  /** The whole body; rejects when it does not come to its end. */
  body(): Promise<Uint8Array>
}

export interface DirectEndpoint {
  readonly paths: ReadonlySet<string>
  readonly maxBodyBytes: number
  /** The JSON of a 200; what it throws is rendered as the app renders it. */
  readonly answer: (request: PlainRequest) => Promise<object>
}

export interface DirectDeps {
  readonly log: Logger
  readonly receive: (arrival: Arrival) => Visit
  readonly asError: (thrown: unknown) => CaracalError
  readonly render: (context: RequestContext, error: CaracalError, path: string) => ErrorAnswer
}

/** A name and a port that cannot be out of range. */
const plainHost = /^[a-z0-9._-]+(?::(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?$/
const plainLength = /^[0-9]{1,9}$/

/** What a role offers as its `intercept`. */
export function serveDirectly(deps: DirectDeps, endpoint: DirectEndpoint): NonNullable<Role['intercept']> {
  const isPlain = ({ method, url, headers }: IncomingMessage): boolean => {
    if (method !== 'POST' || url === undefined || !endpoint.paths.has(url)) return false
    const length = headers['content-length']
    return (
      length !== undefined &&
      plainLength.test(length) &&
      Number(length) <= endpoint.maxBodyBytes &&
      headers.host !== undefined &&
      plainHost.test(headers.host)
    )
  }
  return (request, response) => {
    if (!isPlain(request)) return false
    serve(request, response, deps, endpoint).catch((error: unknown) => {
      deps.log.error({ err: error }, 'request_failed')
      response.destroy()
    })
    return true
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  deps: DirectDeps,
  endpoint: DirectEndpoint,
): Promise<void> {
  const path = request.url as string
  const visit = deps.receive({
    method: 'POST',
    path,
    requestId: headerIn(request, 'x-request-id'),
    traceparent: headerIn(request, 'traceparent'),
    incoming: request,
  })
  let status = 200
  let headers = visit.headers
  let text: string
  try {
    text = JSON.stringify(await endpoint.answer(plainRequest(request, response, visit.context)))
  } catch (thrown) {
    const refusal = deps.render(visit.context, deps.asError(thrown), path)
    status = refusal.status
    headers = { ...headers, ...refusal.headers }
    text = JSON.stringify(refusal.body)
  }
  visit.end(status)
  response.writeHead(status, {
    'content-type': 'application/json',
    ...headers,
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

function plainRequest(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
): PlainRequest {
  let signal: AbortSignal | undefined
  return {
    method: 'POST',
    target: request.url as string,
    context,
    get signal() {
      signal ??= leaving(response)
      return signal
    },
    header: (name) => headerIn(request, name),
    body: () => wholeBody(request),
  }
}

/** Aborted when the connection ends before the answer did. */
function leaving(response: ServerResponse): AbortSignal {
  const abort = new AbortController()
  const left = (): void => {
    if (!response.writableFinished) abort.abort()
  }
  if (response.destroyed) left()
  else response.once('close', left)
  return abort.signal
}

/** Its length was declared within the limit, and Node reads no further than it. */
function wholeBody(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined
    let rest: Buffer[] | undefined
    request.on('data', (chunk: Buffer) => {
      if (first === undefined) first = chunk
      else if (rest === undefined) rest = [first, chunk]
      else rest.push(chunk)
    })
    request.once('end', () =>
      resolve(rest === undefined ? (first ?? new Uint8Array(0)) : Buffer.concat(rest)),
    )
    request.once('error', reject)
    request.once('close', () => {
      // It comes after every end, and an error is dear to make.
      if (!request.readableEnded) reject(new Error('the connection ended before the body did'))
    })
  })
}
