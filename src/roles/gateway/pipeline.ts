/**
 * A proxied request from arrival to evidence: the numbered steps of gateway §4, in
 * that order. Nothing leaves for the upstream before every step of `admission`,
 * `exchanging` and `dialling` has passed.
 *
 * Round trips of one call in one process: one claim in the replay memory, beside it the
 * read of the exchange, its write (design §3), one upstream request. A quiet store that was
 * read for the last such call is asked once: the write claims. The outcome event follows the
 * answer and is batched.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { challengeTo } from '../../platform/http/challenge.ts'
import { clientIpOf } from '../../platform/http/client-ip.ts'
import { type Call, mandateOf, targetOf } from './call.ts'
import { bearerPresent } from './checks/bearer-present.ts'
import { bearerShape } from './checks/bearer-shape.ts'
import { bearerSize } from './checks/bearer-size.ts'
import { bodySize } from './checks/body-size.ts'
import type { Check, Ground, Verdict } from './checks/check.ts'
import { credentialHost } from './checks/credential-host.ts'
import { circuitClosed, exchange } from './checks/exchange.ts'
import { expiryWindow } from './checks/expiry-window.ts'
import { mandateUse } from './checks/mandate-use.ts'
import { pathTraversal } from './checks/path-traversal.ts'
import { applicationWithinLimit, ipWithinLimit } from './checks/rate-limit.ts'
import { replay } from './checks/replay.ts'
import { revocationFresh } from './checks/revocation-fresh.ts'
import { revoked, stillLive } from './checks/revoked.ts'
import { clientClaimed, clientIdAbsent, resourceNamed, zoneClaimed } from './checks/routing.ts'
import { signature } from './checks/signature.ts'
import { upstreamAddress } from './checks/upstream-address.ts'
import { upstreamRequest } from './checks/upstream-request.ts'
import { type Denial, denials } from './denial.ts'
import { type ErrorKind, type EvaluationStatus, requestDenied, resourceRequested } from './events.ts'
import type { Pools } from './proxy/pools.ts'
import { notDialled, type RelayFailure, type RelayOutcome, relay } from './proxy/relay.ts'
import { discardRest, requestBody } from './proxy/request-body.ts'
import { record } from './record.ts'
import { requestIdOf } from './request-id.ts'
import { beginHop, callersTrace, endSpans } from './spans.ts'

/** Steps 1–13a: whether this mandate may be used here and now. */
const admission: readonly Check[] = [
  revocationFresh, // 1
  ipWithinLimit,
  bearerPresent, // 2
  bearerSize, // 3
  bearerShape, // 4
  expiryWindow, // 5
  clientIdAbsent, // 6
  resourceNamed, // 7
  zoneClaimed, // 8
  clientClaimed, // 9
  pathTraversal, // 10
  signature, // 11
  mandateUse, // 11a
  applicationWithinLimit,
  replay, // 12, 12a, 12b
  revoked, // 13
  bodySize, // 13a
]

/** Steps 14 and 15: authority for the resource. */
const exchanging: readonly Check[] = [
  circuitClosed, // 14
  exchange, // 15
  stillLive, // 13 again
]

/** Steps 16–18: a safe and complete upstream request, and what each refusal is called in the evidence. */
const dialling: readonly (readonly [Check, EvaluationStatus, ErrorKind])[] = [
  [upstreamAddress, 'upstream_rejected', 'upstream_not_addressable'], // 16
  [stillLive, 'upstream_rejected', 'transport_error'],
  [credentialHost, 'upstream_rejected', 'provider_host_not_allowed'], // 17
  [upstreamRequest, 'build_failed', 'request_build_failed'], // 18
]

export interface Pipeline {
  /** Handles one request to its end. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void
}

export function createPipeline(ground: Ground, pools: Pools): Pipeline {
  let inFlight = 0
  return {
    handle(request, response) {
      const call = arrive(request, response, ground)
      ground.counters.requests_total += 1
      inFlight += 1
      const most = ground.settings.GATEWAY_MAX_REQUESTS_IN_FLIGHT
      const overloaded = most > 0 && inFlight > most
      const running = overloaded ? refuseNow(call, ground) : run(call, ground, pools)
      running
        .catch((error: unknown) => {
          ground.log.error({ err: error, request_id: call.requestId }, 'request_failed')
          if (response.headersSent) response.destroy()
          else answer(call, denials.internal)
        })
        .finally(() => {
          inFlight -= 1
          call.watch?.end()
          record(call, ground)
          endSpans(call)
        })
    },
  }
}

function arrive(request: IncomingMessage, response: ServerResponse, { settings, tracer }: Ground): Call {
  const target = originForm(request.url ?? '/')
  const at = target.indexOf('?')
  const presented = callersTrace(request)
  const span = tracer === null ? null : beginHop(tracer, request, presented)
  const call: Call = {
    request,
    response,
    requestId: requestIdOf(request.headers['x-request-id']),
    startedAt: performance.now(),
    span,
    upstreamSpan: null,
    rawPath: at < 0 ? target : target.slice(0, at),
    rawQuery: at < 0 ? null : target.slice(at + 1),
    clientIp: clientIpOf(request, settings.TRUST_PROXY),
    abort: new AbortController(),
    bearer: '',
    mandate: null,
    resource: '',
    zoneId: '',
    applicationId: '',
    path: '',
    verified: false,
    firstSeen: false,
    exchanging: null,
    watch: null,
    revoked: false,
    accessToken: () => '',
    directive: null,
    stsLatencyMs: 0,
    target: null,
    upstreamPath: '',
    upstreamHeaders: [],
    secrets: [],
    traceId: (span?.trace ?? presented)?.traceId ?? '',
    status: 0,
    reason: '',
    addedLatencyMs: null,
    upstreamLatencyMs: null,
  }
  response.on('close', () => {
    if (!response.writableEnded) call.abort.abort()
  })
  return call
}

/** RFC 9112 §3.2.2: an absolute-form target means its path. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const authority = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target)
  return authority === null ? target : target.slice(authority[0].length)
}

async function run(call: Call, ground: Ground, pools: Pools): Promise<void> {
  const denial = (await firstDenial(admission, call, ground)) ?? (await firstDenial(exchanging, call, ground))
  if (denial !== null) return refuse(call, ground, denial)
  for (const [check, status, errorKind] of dialling) {
    const rejection = await firstDenial([check], call, ground)
    if (rejection !== null) return reject(call, ground, rejection, status, errorKind)
  }
  await dial(call, ground, pools)
}

async function firstDenial(checks: readonly Check[], call: Call, ground: Ground): Promise<Verdict> {
  for (const check of checks) {
    const verdict = check(call, ground)
    // Most checks answer at once; only real waiting costs a turn of the event loop.
    const denial = verdict instanceof Promise ? await verdict : verdict
    if (denial !== null) return denial
  }
  return null
}

/** Before anything is looked at: what is under way is worth more than what comes. */
async function refuseNow(call: Call, ground: Ground): Promise<void> {
  refuse(call, ground, denials.tooManyRequests)
}

/** A denial of steps 1–15. */
function refuse(call: Call, ground: Ground, denial: Denial): void {
  const { counters } = ground
  counters.requests_denied += 1
  if (denial.counter !== undefined) counters[denial.counter] += 1
  if (call.verified && call.directive === null) evidenceOfDenial(call, ground, denial)
  answer(call, denial)
}

/** Only after a valid signature, and only for revocation hits and refused exchanges: unauthenticated floods leave no evidence. */
function evidenceOfDenial(call: Call, { audit }: Ground, denial: Denial): void {
  if (denial === denials.revoked) audit.tell(requestDenied(call, denial, 'revoked'))
  else if (call.stsLatencyMs > 0) audit.tell(requestDenied(call, denial, 'sts_denied'))
}

/** A refusal of steps 16–18: authority was granted, the upstream was not dialled. */
function reject(
  call: Call,
  ground: Ground,
  denial: Denial,
  status: EvaluationStatus,
  errorKind: ErrorKind,
): void {
  if (denial === denials.revoked) ground.counters.denials_revoked += 1
  ground.counters.upstream_errors += 1
  answer(call, denial)
  ground.audit.tell(
    resourceRequested(call, {
      status,
      gatewayStatus: denial.status,
      latencyMs: 0,
      responseBytes: 0,
      upstreamStatus: null,
      revocationInterrupted: denial === denials.revoked,
      errorKind,
    }),
  )
}

/** Steps 19 and 20. */
async function dial(call: Call, ground: Ground, pools: Pools): Promise<void> {
  const { settings } = ground
  const { exp } = mandateOf(call).claims
  const target = targetOf(call)
  const { turnstile } = pools.for(target)
  const turn = turnstile.enter(call.abort.signal, settings.UPSTREAM_TIMEOUT)
  // Where there is room nobody waits for the next turn of the event loop.
  const entered = turn === 'entered' ? turn : await turn
  const dialledAt = performance.now()
  call.addedLatencyMs = dialledAt - call.startedAt - call.stsLatencyMs
  if (entered !== 'entered') {
    const failure = entered !== 'aborted' ? 'busy' : call.revoked ? 'revoked' : 'cancelled'
    return conclude(call, ground, notDialled(failure, `no connection: ${entered}`), dialledAt)
  }
  const outcome = await relay({
    pool: pools.for(target).pool,
    method: call.request.method ?? 'GET',
    path: call.upstreamPath,
    headers: call.upstreamHeaders,
    secrets: call.secrets,
    body: requestBody(call.request, settings.MAX_REQUEST_BYTES),
    request: call.request,
    response: call.response,
    signal: call.abort.signal,
    isRevoked: () => call.revoked,
    requestId: call.requestId,
    tokenExpiresIn: () => Math.floor(exp - Date.now() / 1000),
    writeTimeoutMs: settings.WRITE_TIMEOUT,
    streamIdleTimeoutMs: settings.STREAM_IDLE_TIMEOUT,
    streamMaxDurationMs: settings.STREAM_MAX_DURATION,
  }).finally(() => turnstile.leave())
  conclude(call, ground, outcome, dialledAt)
}

const failures: Readonly<Record<RelayFailure, Denial>> = {
  timeout: denials.upstreamTimeout,
  cancelled: denials.upstreamCancelled,
  body_too_large: denials.bodyTooLarge,
  unreachable: denials.upstreamUnreachable,
  revoked: denials.revoked,
  busy: denials.upstreamBusy,
}

function conclude(call: Call, ground: Ground, outcome: RelayOutcome, dialledAt: number): void {
  const { counters } = ground
  let gatewayStatus = outcome.upstreamStatus ?? 0
  if (outcome.failure === null) counters.requests_allowed += 1
  else {
    const denial = failures[outcome.failure]
    gatewayStatus = denial.status
    counters.upstream_errors += 1
    if (outcome.failure === 'revoked') counters.denials_revoked += 1
    answer(call, denial)
  }
  const failed = outcome.failure !== null || outcome.cut
  call.status = gatewayStatus
  call.reason = outcome.cause
  if (outcome.headersAt !== null) call.upstreamLatencyMs = outcome.headersAt - dialledAt
  ground.audit.tell(
    resourceRequested(call, {
      status: failed && !(outcome.cut && outcome.revocationInterrupted) ? 'upstream_error' : 'executed',
      gatewayStatus,
      latencyMs: (outcome.headersAt ?? performance.now()) - dialledAt,
      responseBytes: outcome.responseBytes,
      upstreamStatus: outcome.upstreamStatus,
      revocationInterrupted: outcome.revocationInterrupted,
      errorKind: errorKindOf(outcome),
    }),
  )
}

function errorKindOf(outcome: RelayOutcome): ErrorKind | null {
  if (outcome.failure !== null) return 'transport_error'
  return outcome.cut && !outcome.revocationInterrupted ? 'response_copy_failed' : null
}

/** The gateway's own answer; whoever left gets none. */
function answer(call: Call, denial: Denial): void {
  const { request, response, requestId } = call
  call.status = denial.status
  call.reason = denial.description === '' ? denial.code : denial.description
  if (response.headersSent || response.destroyed) return
  const body = JSON.stringify({
    ...denial.body,
    error: denial.code,
    ...(denial.description === '' ? {} : { error_description: denial.description }),
    requestId,
  })
  response.writeHead(denial.status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': requestId,
    ...(denial.status === 401
      ? { 'WWW-Authenticate': challengeTo(request.headers.authorization, 'caracal-gateway') }
      : {}),
    ...denial.headers,
  })
  response.end(body)
  discardRest(request)
}
