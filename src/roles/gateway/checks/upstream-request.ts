import { traceparentOf } from '../../../platform/observe/tracer.ts'
import { directiveOf, targetOf } from '../call.ts'
import { denials } from '../denial.ts'
import { encodePath, encodeSegments, joinPaths, mergeQueries } from '../proxy/path.ts'
import { buildRequestHeaders } from '../proxy/request-headers.ts'
import { traceIdOf } from '../proxy/traceparent.ts'
import { beginUpstream } from '../spans.ts'
import type { Check } from './check.ts'

/** They would show the caller what was sent, the upstream's credential included (RFC 9110 §9.3.8). */
const echoing = new Set(['TRACE', 'TRACK'])

/** Step 18: path, query, headers and credential of the upstream request (gateway §13, §14). */
export const upstreamRequest: Check = (call, { settings, tracer }) => {
  if (echoing.has((call.request.method ?? '').toUpperCase())) return denials.buildFailed
  const directive = directiveOf(call)
  const target = targetOf(call)
  const credential =
    directive.auth_mode === 'provider_apikey' && directive.auth_location === 'query'
      ? { name: directive.query_param_name ?? '', value: directive.provider_token ?? '' }
      : null
  if (tracer !== null && call.span !== null) call.upstreamSpan = beginUpstream(tracer, call.span, call)
  const built = buildRequestHeaders({
    request: call.request,
    requestId: call.requestId,
    trustProxy: settings.TRUST_PROXY,
    secure: settings.TLS_CERT_FILE !== null,
    host: target.host,
    directive,
    accessToken: call.accessToken,
    traceparent: call.upstreamSpan === null ? null : traceparentOf(call.upstreamSpan.trace),
  })
  const query = mergeQueries(target.query, call.rawQuery, credential)
  if (built === null || query === null) return denials.buildFailed
  const path =
    directive.transport_uniform === true && call.rawPath.includes('%2')
      ? joinPaths(encodePath(target.path), encodeSegments(call.rawPath))
      : encodePath(joinPaths(target.path, call.path))
  if (!path.startsWith('/')) return denials.buildFailed
  call.upstreamPath = query === '' ? path : `${path}?${query}`
  call.upstreamHeaders = built.headers
  call.secrets = built.secrets
  call.traceId = traceIdOf(built.traceparent)
  return null
}
