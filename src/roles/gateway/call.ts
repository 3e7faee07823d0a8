/** One proxied request on its way through the pipeline: what earlier steps learned, for later ones. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Span } from '../../platform/observe/tracer.ts'
import type { Sts, UpstreamDirective } from '../sts/port.ts'
import type { Mandate } from './mandate.ts'
import type { UpstreamTarget } from './proxy/target.ts'
import type { Watch } from './revocations/set.ts'

export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  /** Monotonic milliseconds at arrival. */
  readonly startedAt: number
  /** The hop and the request to the upstream, while spans are exported. */
  readonly span: Span | null
  upstreamSpan: Span | null
  /** Raw request target up to the `?`. */
  readonly rawPath: string
  /** Raw query without the `?`; `null` without one. */
  readonly rawQuery: string | null
  readonly clientIp: string
  /** Aborted when the caller leaves or the authority is revoked. */
  readonly abort: AbortController
  /** Steps 2–4. */
  bearer: string
  mandate: Mandate | null
  /** Step 7. */
  resource: string
  /** Steps 8 and 9. */
  zoneId: string
  applicationId: string
  /** Step 10: decoded. */
  path: string
  /** Step 11: from here on the claims are trusted as signed by the zone. */
  verified: boolean
  /** Step 11: this process sees the mandate for the first time. */
  firstSeen: boolean
  /** Step 12: goes on with the exchange whose reads were begun beside the claim. */
  exchanging: Sts['exchangeForGateway'] | null
  /** Step 13: told when one of the anchors is revoked. */
  watch: Watch | null
  revoked: boolean
  /** Step 15. */
  accessToken: () => string
  directive: UpstreamDirective | null
  stsLatencyMs: number
  /** Step 16. */
  target: UpstreamTarget | null
  /** Step 18. */
  upstreamPath: string
  upstreamHeaders: string[]
  /** What of it the caller must not see, should the upstream say it back. */
  secrets: readonly string[]
  traceId: string
  /** What the caller was answered; 0 until then. */
  status: number
  /** Sentence of a denial or cause of a failure, for the log. */
  reason: string
  /** From arrival to dial without the exchange: what the gateway itself adds; `null` when nothing was dialled. */
  addedLatencyMs: number | null
  /** From dial to response headers; `null` when nothing was dialled or nothing came. */
  upstreamLatencyMs: number | null
}

/** The verified parts of a call after step 4; a step that runs later may rely on them. */
export function mandateOf(call: Call): Mandate {
  if (call.mandate === null) throw new Error('mandate read before it was parsed')
  return call.mandate
}

export function directiveOf(call: Call): UpstreamDirective {
  if (call.directive === null) throw new Error('directive read before the exchange')
  return call.directive
}

export function targetOf(call: Call): UpstreamTarget {
  if (call.target === null) throw new Error('target read before the upstream guard')
  return call.target
}
