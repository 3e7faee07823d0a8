/** The one place where a thrown thing becomes a response. */
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { helpsToRetry } from '../db/unavailable.ts'
import { CaracalError } from '../errors.ts'
import type { ErrorStyle } from './error-style.ts'
import { errorOf } from './errors/registry.ts'
import { type RequestContext, requestContext } from './request-context.ts'

/**
 * Anything thrown, as a `CaracalError`: a store that cannot be asked is "later", not "our fault"; what we
 * do not know is `internal_error`. Both keep their cause for the log.
 */
export function toCaracalError(thrown: unknown): CaracalError {
  if (thrown instanceof CaracalError) return thrown
  if (thrown instanceof HTTPException) {
    if (thrown.status === 413) return errorOf('payload_too_large', { cause: thrown })
    if (thrown.status === 415) return errorOf('unsupported_media_type', { cause: thrown })
    if (thrown.status === 401) return errorOf('unauthorized', { cause: thrown })
    if (thrown.status >= 400 && thrown.status < 500) return errorOf('invalid_body', { cause: thrown })
  }
  if (helpsToRetry(thrown)) return errorOf('service_unavailable', { cause: thrown })
  return errorOf('internal_error', { cause: thrown })
}

export interface ErrorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
}

/** Logs the private side once and makes the public one. Never a stack, never a value. */
export function errorAnswer(context: RequestContext, error: CaracalError, style: ErrorStyle): ErrorAnswer {
  const { code, status, detail, headers } = error
  if (status >= 500) context.log.error({ err: error, code, status }, 'request_failed')
  else if (detail !== undefined) context.log.info({ code, status, detail }, 'request_refused')
  return { status, headers, body: style(error, context.requestId) }
}

/** Answers with it through the app. */
export function renderError(c: Context, error: CaracalError, style: ErrorStyle): Response {
  const { status, headers, body } = errorAnswer(requestContext(c), error, style)
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  return c.json(body, status as ContentfulStatusCode)
}
