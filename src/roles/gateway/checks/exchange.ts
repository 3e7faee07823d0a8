import { traceparentOf } from '../../../platform/observe/tracer.ts'
import { type GatewayExchangeResult, StsUnreachable, UseNotClaimed } from '../../sts/port.ts'
import type { Call } from '../call.ts'
import { type Denial, denials } from '../denial.ts'
import { beginExchange } from '../spans.ts'
import type { Check, Ground, Verdict } from './check.ts'
import { exchangeRequest } from './exchange-request.ts'
import { judgeLostClaim } from './replay.ts'

/** Step 14: a broken STS is not asked again for ten seconds (gateway §11). */
export const circuitClosed: Check = (_call, { breaker, counters }) => {
  if (!breaker.open) return null
  counters.sts_exchange_errors += 1
  counters.sts_circuit_fast_fail += 1
  return denials.stsUnavailable
}

/**
 * Step 15: trades the mandate for the resource side (gateway §9, §10). Exactly one
 * exchange per call, never retried, abandoned after `STS_TIMEOUT`. A claim that step 12
 * left to it is judged as there.
 */
export const exchange: Check = async (call, ground) => {
  const startedAt = performance.now()
  const answer = await ask(call, ground)
  if (answer instanceof UseNotClaimed) return judgeLostClaim(call, ground, answer)
  call.stsLatencyMs = performance.now() - startedAt
  ground.counters.sts_exchange_latency_ms = Math.round(call.stsLatencyMs)
  const denial = judge(call, answer)
  account(denial, ground)
  return denial
}

function account(denial: Verdict, { breaker, counters }: Ground): void {
  if (denial === null) {
    breaker.succeeded()
    return
  }
  counters.sts_exchange_errors += 1
  if (denial.code !== 'sts_unavailable' || denial.status < 500) return
  if (breaker.failed()) counters.sts_circuit_opened += 1
}

type Answer = GatewayExchangeResult | Denial

async function ask(call: Call, ground: Ground): Promise<Answer | UseNotClaimed> {
  const { tracer } = ground
  if (tracer === null || call.span === null) return askSts(call, ground, call.request.headers.traceparent)
  const span = beginExchange(tracer, call.span)
  const answer = await askSts(call, ground, traceparentOf(span.trace))
  const denied = denialOf(answer)
  if (denied !== null) span.set('caracal.refusal', denied.code)
  span.end(denied !== null && denied.status >= 500 ? denied.description : undefined)
  return answer
}

/** How a span names it. */
function denialOf(answer: Answer | UseNotClaimed): Pick<Denial, 'status' | 'code' | 'description'> | null {
  if (answer instanceof UseNotClaimed) {
    return {
      status: answer.outcome === 'unknown' ? 503 : 401,
      code: answer.outcome,
      description: answer.message,
    }
  }
  if ('code' in answer) return answer
  return answer.ok ? null : { ...answer, code: answer.error }
}

async function askSts(
  call: Call,
  { sts, settings, log }: Ground,
  traceparent: string | string[] | undefined,
): Promise<Answer | UseNotClaimed> {
  let deadline: NodeJS.Timeout | undefined
  let leave: (() => void) | undefined
  const { signal } = call.abort
  const ending = new Promise<Denial>((resolve) => {
    deadline = setTimeout(() => resolve(denials.stsTimeout), settings.STS_TIMEOUT)
    leave = () => resolve(call.revoked ? denials.revoked : denials.stsCancelled)
    signal.addEventListener('abort', leave, { once: true })
  })
  if (signal.aborted) leave?.()
  try {
    const request = exchangeRequest(call, traceparent)
    const asking = call.exchanging?.(request, signal) ?? sts.exchangeForGateway(request, signal)
    return await Promise.race([asking, ending])
  } catch (error) {
    if (call.revoked) return denials.revoked
    if (error instanceof UseNotClaimed) return error
    if (error instanceof StsUnreachable) return unreachable[error.kind]
    log.error({ err: error, request_id: call.requestId, zone_id: call.zoneId }, 'exchange_failed')
    return denials.stsTransport
  } finally {
    clearTimeout(deadline)
    if (leave !== undefined) signal.removeEventListener('abort', leave)
  }
}

const unreachable: Readonly<Record<StsUnreachable['kind'], Denial>> = {
  timeout: denials.stsTimeout,
  transport: denials.stsTransport,
  invalid_response: denials.stsInvalidAnswer,
  cancelled: denials.stsCancelled,
}

function judge(call: Call, answer: Answer): Verdict {
  if ('code' in answer) return answer
  if (!answer.ok) {
    return {
      status: answer.status,
      code: answer.error,
      description: answer.description,
      ...(answer.details === undefined ? {} : { body: answer.details }),
      ...(answer.retryAfterSeconds === undefined
        ? {}
        : { headers: { 'Retry-After': String(answer.retryAfterSeconds) } }),
    }
  }
  const directive = Object.hasOwn(answer.upstreams, call.resource)
    ? answer.upstreams[call.resource]
    : undefined
  if (directive === undefined || directive.url === '') return denials.noDirective
  call.accessToken = answer.accessToken
  call.directive = directive
  return null
}
