/** What every request carries from the first middleware to the last log line. */
import type { Context } from 'hono'
import type { Logger } from 'pino'
import type { TraceContext } from '../observe/trace.ts'

export interface RequestContext {
  /** Taken from `X-Request-Id` when it is well-formed, else a fresh UUIDv4; echoed on every response. */
  readonly requestId: string
  /** The caller's trace, `null` when it sent none. */
  readonly trace: TraceContext | null
  /** Socket peer, or what the proxy reported when `TRUST_PROXY` is set. */
  readonly clientIp: string
  /** Child logger with `request_id`, `trace_id`, `span_id`; made on first use. */
  readonly log: Logger
  /** Facts for the access-log line (`zone_id`, `application_id` …). */
  readonly notes: Record<string, string | number | boolean>
}

declare module 'hono' {
  interface ContextVariableMap {
    requestContext: RequestContext
    /** Parsed by `jsonBody()` before authentication; absent until then. */
    jsonBody: ParsedBody | undefined
  }
}

/** A body that was read: `present` is false when the caller sent none. */
export interface ParsedBody {
  readonly present: boolean
  readonly value: unknown
}

/** The context of the current request. Every app made by `createRoleApp` has one. */
export function requestContext(c: Context): RequestContext {
  return c.get('requestContext')
}

/** Which inbound request ids are kept (storage-and-operations §14.1). */
export type RequestIdRule = 'token' | 'visible'

const idRules: Readonly<Record<RequestIdRule, RegExp>> = {
  token: /^[A-Za-z0-9_.\-:]{1,128}$/,
  visible: /^[\x21-\x7e]{1,128}$/,
}

export function isRequestId(value: string | undefined, rule: RequestIdRule): value is string {
  return value !== undefined && idRules[rule].test(value)
}

export interface RequestContextInput {
  readonly requestId: string
  readonly trace: TraceContext | null
  readonly clientIp: string
  readonly log: Logger
}

/** Log fields that tie a line to its request. The span falls back to the request id. */
export function correlation(context: Pick<RequestContext, 'requestId' | 'trace'>): Record<string, string> {
  return context.trace === null
    ? { request_id: context.requestId, span_id: context.requestId }
    : { request_id: context.requestId, trace_id: context.trace.traceId, span_id: context.trace.spanId }
}

export function createRequestContext(input: RequestContextInput): RequestContext {
  let child: Logger | undefined
  return {
    requestId: input.requestId,
    trace: input.trace,
    clientIp: input.clientIp,
    notes: {},
    get log() {
      child ??= input.log.child(correlation(input))
      return child
    },
  }
}
