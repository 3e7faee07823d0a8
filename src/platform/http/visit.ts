/**
 * What every request gets when it comes (id, trace, span, context, headers of its answer) and leaves
 * when it is answered (the end of its span, a line in the access log), whichever way it is served.
 */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'
import { uuidv4 } from '../ids.ts'
import { parseTraceparent, type TraceContext } from '../observe/trace.ts'
import type { Span, Tracer } from '../observe/tracer.ts'
import { clientIpOf } from './client-ip.ts'
import {
  correlation,
  createRequestContext,
  isRequestId,
  type RequestContext,
  type RequestIdRule,
} from './request-context.ts'

export interface VisitRules {
  /** The role's child logger. */
  readonly log: Logger
  /** A span for each request but the operator's own. */
  readonly tracer?: Tracer | null | undefined
  /** `visible` on gateway and sts, `token` elsewhere. */
  readonly requestIdRule: RequestIdRule
  /** Of a request that brings none; UUIDv4 unless given. */
  readonly newRequestId?: () => string
  /** `TRUST_PROXY` */
  readonly trustProxy: boolean
  /** Paths under this prefix answer with nosniff, no-referrer and no-store. */
  readonly privatePrefix?: string
  /** Further headers of every answer at a path, refusals included. */
  readonly headersFor?: (path: string) => Readonly<Record<string, string>> | null
}

export interface Arrival {
  readonly method: string
  readonly path: string
  /** `X-Request-Id` and `traceparent` as they were sent. */
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
  /** Absent under `app.request`. */
  readonly incoming: IncomingMessage | undefined
}

export interface Visit {
  readonly context: RequestContext
  /** Of the answer, whatever it says. */
  readonly headers: Readonly<Record<string, string>>
  /** To be called once, when the status is known. */
  end(status: number): void
}

const quietPaths: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

/** Begins the visits of one role. */
export function createReception(rules: VisitRules, isDraining: () => boolean): (arrival: Arrival) => Visit {
  const { log, tracer, privatePrefix, headersFor, newRequestId = uuidv4 } = rules
  return (arrival) => {
    const startedAt = performance.now()
    const { method, path } = arrival
    const requestId = isRequestId(arrival.requestId, rules.requestIdRule) ? arrival.requestId : newRequestId()
    const presented = parseTraceparent(arrival.traceparent)
    const span = tracer && !quietPaths.has(path) ? beginSpan(tracer, arrival, presented) : null
    const trace = span === null ? presented : span.trace
    const clientIp = clientIpOf(arrival.incoming, rules.trustProxy)
    const context = createRequestContext({ requestId, trace, clientIp, log })
    const headers: Record<string, string> = { 'x-request-id': requestId }
    if (privatePrefix !== undefined && path.startsWith(privatePrefix)) {
      headers['x-content-type-options'] = 'nosniff'
      headers['referrer-policy'] = 'no-referrer'
      headers['cache-control'] = 'no-store'
    }
    Object.assign(headers, headersFor?.(path))
    if (isDraining()) headers.connection = 'close'
    return {
      context,
      headers,
      end(status) {
        if (span !== null) endSpan(span, context, status)
        const level = quietPaths.has(path) ? 'debug' : 'info'
        if (!log.isLevelEnabled(level)) return
        log[level](
          {
            ...correlation(context),
            ...context.notes,
            method,
            path,
            ip: clientIp,
            status,
            duration_ms: Math.round((performance.now() - startedAt) * 100) / 100,
          },
          'request',
        )
      },
    }
  }
}

function beginSpan(tracer: Tracer, { method, path }: Arrival, parent: TraceContext | null): Span {
  return tracer.start(`${method} ${path}`, {
    kind: 'server',
    parent,
    attributes: { 'http.request.method': method, 'url.path': path },
  })
}

function endSpan(span: Span, { requestId, notes }: RequestContext, status: number): void {
  span.set('http.response.status_code', status)
  span.set('caracal.request_id', requestId)
  for (const name in notes) span.set(`caracal.${name}`, notes[name] as string | number | boolean)
  span.end(status >= 500 ? `HTTP ${status}` : undefined)
}
