/**
 * Clock minutes on the shared counters. When the counters cannot be reached a limiter
 * either lets requests through with a warning or refuses them, as its surface demands.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { type Counter, type Ephemera, EphemeraUnavailable } from '../ephemera/port.ts'
import { type ErrorCode, errorOf } from './errors/registry.ts'
import { requestContext } from './request-context.ts'

const MINUTE_MS = 60_000

export interface FixedWindow {
  readonly ephemera: Ephemera
  /** Most requests per minute; 0 or less disables the limiter. */
  readonly limit: number
  /** What the counter is kept under, minute excluded; `null` = this request is not counted. */
  readonly key: (c: Context) => string | null
  /** `skip`: let through and warn. `refuse`: 503 `service_unavailable`. */
  readonly onUnavailable: 'skip' | 'refuse'
  readonly code?: ErrorCode
  /** Further members of the refusal's body. */
  readonly body?: Readonly<Record<string, unknown>>
  /** Longest `Retry-After` in seconds (v1 SDKs honour 30). */
  readonly retryAfterCap?: number
}

/** Counts this request; throws 429 with `Retry-After` when it is over the limit. */
export async function countRequest(c: Context, window: FixedWindow): Promise<void> {
  if (window.limit <= 0) return
  const key = window.key(c)
  if (key === null) return
  let counter: Counter
  try {
    counter = await window.ephemera.countInWindow(key, MINUTE_MS)
  } catch (error) {
    if (!(error instanceof EphemeraUnavailable)) throw error
    if (window.onUnavailable === 'refuse') {
      throw errorOf('service_unavailable', {
        detail: 'rate counters cannot be reached',
        cause: error,
      })
    }
    requestContext(c).log.warn({ err: error }, 'rate_limit_skipped')
    return
  }
  if (counter.count > window.limit) {
    const seconds = Math.max(1, Math.ceil(counter.remainingMs / 1000))
    throw errorOf(window.code ?? 'rate_limited', {
      headers: { 'retry-after': String(Math.min(seconds, window.retryAfterCap ?? 60)) },
      ...(window.body ? { body: window.body } : {}),
    })
  }
}

/** `countRequest` as a middleware. */
export function fixedWindow(window: FixedWindow): MiddlewareHandler {
  return async (c, next) => {
    await countRequest(c, window)
    await next()
  }
}
