/**
 * The spans of a proxied request: the hop, the exchange and the upstream request
 * (gateway §18). As in the log: never the path, the query, a token or a body.
 */
import type { IncomingMessage } from 'node:http'
import { parseTraceparent, type TraceContext } from '../../platform/observe/trace.ts'
import type { Span, Tracer } from '../../platform/observe/tracer.ts'
import type { Call } from './call.ts'
import { targetOf } from './call.ts'

export function callersTrace({ headers: { traceparent } }: IncomingMessage): TraceContext | null {
  return parseTraceparent(typeof traceparent === 'string' ? traceparent : null)
}

/** The span of the whole hop, under the caller's trace where it named one. */
export function beginHop(tracer: Tracer, request: IncomingMessage, parent: TraceContext | null): Span {
  return tracer.start('caracal.gateway.http', {
    kind: 'server',
    parent,
    attributes: { 'http.request.method': request.method ?? '' },
  })
}

export function beginExchange(tracer: Tracer, hop: Span): Span {
  return tracer.start('caracal.gateway.exchange', { kind: 'client', parent: hop.trace })
}

/** Its `traceparent` is what the upstream gets. */
export function beginUpstream(tracer: Tracer, hop: Span, call: Call): Span {
  const { hostname } = targetOf(call)
  return tracer.start('caracal.gateway.upstream', {
    kind: 'client',
    parent: hop.trace,
    attributes: { 'http.request.method': call.request.method ?? '', 'server.address': hostname },
  })
}

/** Once the call is over, whatever became of it. */
export function endSpans(call: Call): void {
  const { span, upstreamSpan } = call
  if (span === null) return
  const failure = call.status >= 500 ? call.reason || `HTTP ${call.status}` : undefined
  if (upstreamSpan !== null) {
    upstreamSpan.set('http.response.status_code', call.status)
    upstreamSpan.end(failure)
  }
  span.set('http.response.status_code', call.status)
  span.set('caracal.request_id', call.requestId)
  // Claims are worth an attribute only once the zone vouched for them.
  if (call.verified) {
    span.set('caracal.zone_id', call.zoneId)
    span.set('caracal.application_id', call.applicationId)
    span.set('caracal.resource', call.resource)
  }
  if (call.reason !== '') span.set('caracal.reason', call.reason)
  span.end(failure)
}
