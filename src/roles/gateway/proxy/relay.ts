/**
 * Steps 19 and 20: one dispatch to the upstream, its answer streamed straight to
 * the raw Node response (gateway §14.3, §15; dependencies.md §5). Nothing is
 * retried, followed, decompressed or buffered.
 *
 * What ends a relay early: the caller leaves, the authority is revoked, the upstream
 * fails, a deadline passes. Whatever comes first wins; the promise settles once and
 * never rejects.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { BodyTooLarge, discardRest } from './request-body.ts'
import { passResponseHeaders, passTrailers, tells } from './response-headers.ts'

export interface RelayOptions {
  readonly pool: Pool
  readonly method: string
  readonly path: string
  readonly headers: string[]
  /** What of the request the upstream must not say back to the caller. */
  readonly secrets: readonly string[]
  readonly body: Readable | null
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborted by the pipeline when the caller left or the authority was revoked. */
  readonly signal: AbortSignal
  /** Read when `signal` fires: revocation is told apart from a caller that left. */
  readonly isRevoked: () => boolean
  readonly requestId: string
  /** Seconds until the inbound mandate expires. */
  readonly tokenExpiresIn: () => number
  readonly writeTimeoutMs: number
  /** 0 disables. */
  readonly streamIdleTimeoutMs: number
  readonly streamMaxDurationMs: number | null
}

/** How a relay failed before any of the answer was sent: the pipeline renders it. */
export type RelayFailure = 'timeout' | 'cancelled' | 'body_too_large' | 'unreachable' | 'revoked' | 'busy'

export interface RelayOutcome {
  /** `null` once an answer of the upstream was begun. */
  readonly failure: RelayFailure | null
  /** Low-level cause for the log; never shown and free of URLs. */
  readonly cause: string
  readonly upstreamStatus: number | null
  /** Monotonic milliseconds at which the response headers arrived. */
  readonly headersAt: number | null
  readonly responseBytes: number
  /** The answer was begun but not finished. */
  readonly cut: boolean
  readonly revocationInterrupted: boolean
}

const printable = /^[\t\x20-\x7e]*$/
const revokedTrailer = 'X-Caracal-Revoked'

/** The outcome of a call that never got a connection. */
export const notDialled = (failure: RelayFailure, cause: string): RelayOutcome => ({
  failure,
  cause,
  upstreamStatus: null,
  headersAt: null,
  responseBytes: 0,
  cut: false,
  revocationInterrupted: failure === 'revoked',
})

export function relay(options: RelayOptions): Promise<RelayOutcome> {
  return new Promise((settle) => new Relay(options, settle).start())
}

class Relay {
  readonly #options: RelayOptions
  readonly #settle: (outcome: RelayOutcome) => void
  #controller: Dispatcher.DispatchController | null = null
  #settled = false
  #bytes = 0
  #upstreamStatus: number | null = null
  #headersAt: number | null = null
  #bodiless = false
  #streaming = false
  #trailers = false
  /** Overall deadline of a plain answer, or the drain deadline of a stream. */
  #writeTimer: NodeJS.Timeout | undefined
  #maxTimer: NodeJS.Timeout | undefined

  constructor(options: RelayOptions, settle: (outcome: RelayOutcome) => void) {
    this.#options = options
    this.#settle = settle
  }

  start(): void {
    const { pool, path, method, headers, body, signal } = this.#options
    if (signal.aborted) {
      this.#onAbort()
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    try {
      pool.dispatch({ path, method: method as Dispatcher.HttpMethod, headers, body }, this.#handler)
    } catch (error) {
      this.#fail('unreachable', codeOf(error))
    }
  }

  readonly #handler: Dispatcher.DispatchHandler = {
    onRequestStart: (controller) => {
      this.#controller = controller
      // The caller may have left, or been revoked, while the request waited for a connection.
      if (this.#settled) controller.abort(new Error('no longer wanted'))
    },
    onResponseStart: (_controller, status, upstreamHeaders, statusText) => {
      // Informational answers are the upstream's word to the gateway, not to the caller.
      if (status < 200 || this.#settled) return
      this.#begin(status, upstreamHeaders as Record<string, string | string[]>, statusText ?? '')
    },
    onResponseData: (controller, chunk) => {
      if (this.#settled) return
      this.#bytes += chunk.length
      const { response } = this.#options
      if (response.write(chunk)) return
      controller.pause()
      this.#armDrainDeadline()
      response.once('drain', () => {
        this.#disarmDrainDeadline()
        controller.resume()
      })
    },
    onResponseEnd: (_controller, trailers) => {
      if (!this.#settled) this.#complete(trailers as Record<string, string | string[]>)
    },
    onResponseError: (_controller, error) => {
      if (this.#settled) return
      // Without a body the head is all: undici takes the length a 304 may name for a promise.
      if (this.#headersAt !== null && this.#bodiless) return this.#complete({})
      if (this.#headersAt !== null) return this.#cut(codeOf(error), false)
      if (error instanceof BodyTooLarge) return this.#fail('body_too_large', 'body too large')
      const code = codeOf(error)
      this.#fail(timeouts.has(code) ? 'timeout' : 'unreachable', code)
    },
  }

  #begin(status: number, upstream: Record<string, string | string[]>, statusText: string): void {
    const { request, response, secrets } = this.#options
    const hasLength = upstream['content-length'] !== undefined
    const bodiless = request.method === 'HEAD' || status === 204 || status === 304
    const contentType = upstream['content-type']
    this.#bodiless = bodiless
    this.#streaming =
      !bodiless &&
      (!hasLength ||
        String(contentType ?? '')
          .trimStart()
          .toLowerCase()
          .startsWith('text/event-stream'))
    this.#trailers = !bodiless && !hasLength && request.httpVersionMinor >= 1
    const headers = passResponseHeaders(upstream, secrets)
    headers.push('X-Caracal-Token-Expires-In', String(Math.max(0, this.#options.tokenExpiresIn())))
    headers.push('X-Request-Id', this.#options.requestId)
    if (this.#trailers) headers.push('Transfer-Encoding', 'chunked', 'Trailer', revokedTrailer)
    try {
      const reason = printable.test(statusText) && !tells(statusText, secrets) ? statusText : ''
      sendHead(response, status, reason, headers)
    } catch (error) {
      this.#controller?.abort(new Error('unusable upstream headers'))
      this.#fail('unreachable', codeOf(error))
      return
    }
    this.#headersAt = performance.now()
    this.#upstreamStatus = status
    // Head and first piece of the body usually arrive in one read: one write for both, without holding a head back.
    response.cork()
    process.nextTick(() => response.uncork())
    if (this.#streaming) this.#flushHead()
    else if (!bodiless) {
      this.#writeTimer = this.#timer(this.#options.writeTimeoutMs, 'write deadline')
      setImmediate(this.#flushHead)
    }
    const { streamMaxDurationMs } = this.#options
    if (this.#streaming && streamMaxDurationMs !== null) {
      this.#maxTimer = this.#timer(streamMaxDurationMs, 'stream duration')
    }
  }

  /** For a body that lets itself be waited for. Node's own `flushHeaders` would send the head as UTF-8. */
  readonly #flushHead = (): void => {
    if (!this.#settled && this.#bytes === 0) this.#options.response.write('', 'latin1')
  }

  #complete(trailers: Record<string, string | string[]>): void {
    const { response, request, secrets } = this.#options
    if (this.#trailers) {
      for (const pair of passTrailers(trailers, secrets)) addTrailer(response, pair)
    }
    response.end()
    this.#finish({ failure: null, cause: '', cut: false, revoked: false })
    discardRest(request)
  }

  readonly #onAbort = (): void => {
    if (this.#settled) return
    const revoked = this.#options.isRevoked()
    if (this.#headersAt !== null) this.#cut(revoked ? 'revoked' : 'caller left', revoked)
    else this.#fail(revoked ? 'revoked' : 'cancelled', revoked ? 'revoked' : 'caller left')
    this.#controller?.abort(new Error(revoked ? 'revoked' : 'caller left'))
  }

  /** Ends an answer that was begun: with the trailer where one is possible, else by breaking the connection. */
  #cut(cause: string, revoked: boolean): void {
    const { response } = this.#options
    if (revoked && this.#trailers && !response.destroyed) {
      response.addTrailers({ [revokedTrailer]: 'true' })
      response.end()
      // A caller that does not read must not keep what was buffered alive.
      const timer = setTimeout(() => response.destroy(), 1000)
      timer.unref()
      response.once('close', () => clearTimeout(timer))
      response.once('finish', () => clearTimeout(timer))
    } else response.destroy()
    this.#finish({ failure: null, cause, cut: true, revoked })
    discardRest(this.#options.request)
    this.#controller?.abort(new Error(cause))
  }

  #fail(failure: RelayFailure, cause: string): void {
    this.#finish({ failure, cause, cut: false, revoked: failure === 'revoked' })
  }

  #finish(end: { failure: RelayFailure | null; cause: string; cut: boolean; revoked: boolean }): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#writeTimer)
    clearTimeout(this.#maxTimer)
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    // Nobody reads it any more; what the caller still sends is discarded at the source.
    this.#options.body?.destroy()
    this.#settle({
      failure: end.failure,
      cause: end.cause,
      upstreamStatus: this.#upstreamStatus,
      headersAt: this.#headersAt,
      responseBytes: this.#bytes,
      cut: end.cut,
      revocationInterrupted: end.revoked,
    })
  }

  #armDrainDeadline(): void {
    const { streamIdleTimeoutMs } = this.#options
    if (!this.#streaming || streamIdleTimeoutMs === 0) return
    clearTimeout(this.#writeTimer)
    this.#writeTimer = this.#timer(streamIdleTimeoutMs, 'write deadline')
  }

  #disarmDrainDeadline(): void {
    if (this.#streaming) clearTimeout(this.#writeTimer)
  }

  #timer(ms: number, cause: string): NodeJS.Timeout {
    return setTimeout(() => {
      if (!this.#settled) this.#cut(cause, false)
    }, ms).unref()
  }
}

const timeouts = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** A short machine code; messages may hold addresses or URLs and stay out of logs. */
function codeOf(error: unknown): string {
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (error instanceof AggregateError) return codeOf(error.errors[0])
    return error.name
  }
  return 'unknown'
}

function sendHead(response: ServerResponse, status: number, statusText: string, headers: string[]): void {
  if (statusText === '') response.writeHead(status, headers)
  else response.writeHead(status, statusText, headers)
}

function addTrailer(response: ServerResponse, [name, value]: [string, string]): void {
  try {
    response.addTrailers([[name, value]])
  } catch {
    // An illegal trailer is not worth the answer it follows.
  }
}
