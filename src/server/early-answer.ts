/**
 * Answers no role makes, because nothing could be handed to it: a head that cannot be read, a
 * request that took too long, a process that is leaving. They look like every other error.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { RequestError } from '@hono/node-server'
import { isRequestId } from '../platform/http/request-context.ts'
import { uuidv4 } from '../platform/ids.ts'

interface EarlyAnswer {
  readonly status: number
  readonly error: string
  readonly description: string
  readonly headers?: Readonly<Record<string, string>>
}

export const draining: EarlyAnswer = {
  status: 503,
  error: 'draining',
  description: 'The server is stopping.',
  headers: { 'retry-after': '1' },
}
export const hostMissing: EarlyAnswer = {
  status: 400,
  error: 'invalid_request',
  description: 'The request names no host.',
  headers: { connection: 'close' },
}
const malformed: EarlyAnswer = {
  status: 400,
  error: 'invalid_request',
  description: 'The request is not HTTP.',
}
const broken: EarlyAnswer = {
  status: 500,
  error: 'internal_error',
  description: 'The request could not be handled.',
}
const unreadable: Readonly<Record<string, EarlyAnswer>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    error: 'payload_too_large',
    description: 'The request headers are too large.',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    error: 'payload_too_large',
    description: 'The chunk extensions of the request are too large.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    error: 'request_timeout',
    description: 'The request took too long to arrive.',
  },
}

/** Answers a request that was read. */
export function answerEarly(request: IncomingMessage, response: ServerResponse, answer: EarlyAnswer): void {
  const inbound = request.headers['x-request-id']
  const requestId = typeof inbound === 'string' && isRequestId(inbound, 'visible') ? inbound : uuidv4()
  const { headers, body } = render(answer, requestId)
  response.writeHead(answer.status, headers).end(body)
}

/** Answers what the parser gave up on, and ends the connection. */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  // What Node asks before it answers by itself: a piece of another answer must not be followed by this one.
  const { _httpMessage: begun } = socket as Socket & { _httpMessage?: ServerResponse | null }
  if (socket.writable && begun?.headersSent !== true) {
    const answer = unreadable[error.code ?? ''] ?? malformed
    const { headers, body } = render(answer, uuidv4())
    const lines = Object.entries({ ...headers, connection: 'close' }).map(
      ([name, value]) => `${name}: ${value}`,
    )
    const head = [`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`, ...lines].join('\r\n')
    socket.write(`${head}\r\n\r\n${body}`)
  }
  socket.destroySoon()
}

/** For a request that no app could be asked about: its host or its target makes no URL. */
export function answerUnasked(error: unknown): Response {
  const answer = error instanceof RequestError ? malformed : broken
  const { headers, body } = render(answer, uuidv4())
  return new Response(body, { status: answer.status, headers })
}

function render({ error, description, headers }: EarlyAnswer, requestId: string) {
  const body = JSON.stringify({ error, error_description: description, requestId })
  return {
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'x-request-id': requestId,
      ...headers,
    },
    body,
  }
}
