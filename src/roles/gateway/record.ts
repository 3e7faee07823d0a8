/** What is left of a call once it is over: one log line and its durations (gateway §18). Never the path, the query or a token. */
import type { Call } from './call.ts'
import type { Ground } from './checks/check.ts'
import { fingerprintOf } from './mandate.ts'

export function record(call: Call, { log, durations }: Ground): void {
  const durationMs = performance.now() - call.startedAt
  durations.request.observe({ result_class: resultClass(call.status) }, durationMs / 1000)
  if (call.stsLatencyMs > 0) {
    durations.exchange.observe(
      { outcome: call.directive === null ? 'refused' : 'granted' },
      call.stsLatencyMs / 1000,
    )
  }
  if (call.addedLatencyMs !== null) durations.added.observe(call.addedLatencyMs / 1000)
  if (call.upstreamLatencyMs !== null) {
    durations.upstream.observe({ result_class: resultClass(call.status) }, call.upstreamLatencyMs / 1000)
  }
  if (!log.isLevelEnabled('info')) return
  log.info(
    {
      request_id: call.requestId,
      client_ip: call.clientIp,
      method: call.request.method,
      status: call.status,
      duration_ms: rounded(durationMs),
      ...(call.reason === '' ? {} : { reason: call.reason }),
      // Claims are worth a line only once the zone vouched for them.
      ...(call.verified
        ? {
            zone_id: call.zoneId,
            application_id: call.applicationId,
            resource: call.resource,
            subject_fp: call.mandate === null ? '' : fingerprintOf(call.mandate.digest),
          }
        : {}),
      ...(call.stsLatencyMs > 0 ? { sts_latency_ms: rounded(call.stsLatencyMs) } : {}),
      ...(call.target === null ? {} : { upstream_host: call.target.hostname }),
      ...(call.directive === null ? {} : { auth_mode: call.directive.auth_mode }),
      ...(call.upstreamLatencyMs === null ? {} : { upstream_latency_ms: rounded(call.upstreamLatencyMs) }),
      ...(call.traceId === '' ? {} : { trace_id: call.traceId }),
    },
    'request',
  )
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100

export type ResultClass = 'success' | 'redirect' | 'client_error' | 'server_error' | 'unknown'

/** 2xx, 3xx, 4xx and 5xx by name. */
export function resultClass(status: number): ResultClass {
  if (status >= 200 && status < 300) return 'success'
  if (status >= 300 && status < 400) return 'redirect'
  if (status >= 400 && status < 500) return 'client_error'
  return status >= 500 ? 'server_error' : 'unknown'
}
