/**
 * The STS of another process behind the same port (gateway §9): the signed exchange,
 * the JWKS document, the health check, and the policy routes of sts §6.8.
 */
import { uuidv4 } from '../../platform/ids.ts'
import { fetchJwks } from '../../platform/jose/key-set.ts'
import {
  type GatewayExchangeRequest,
  type PolicySimulationResult,
  type PolicyStatus,
  type Sts,
  StsUnreachable,
} from '../sts/port.ts'
import { invalidAnswer, readExchangeAnswer } from './exchange-answer.ts'
import { createStsClient, type StsAnswer, type StsClientOptions } from './sts-client.ts'

export type StsOverHttpOptions = StsClientOptions

const maxExchangeAnswer = 16 * 1024
const maxPolicyAnswer = 1024 * 1024
const maxHealthAnswer = 16 * 1024

/** An `Sts` over HTTP; disposing it closes its connections. */
export function stsOverHttp(options: StsOverHttpOptions): Sts & AsyncDisposable {
  const client = createStsClient(options)
  const json = (): Record<string, string> => ({
    'Content-Type': 'application/json',
    'X-Request-Id': uuidv4(),
  })
  return {
    async exchangeForGateway(request, signal) {
      const answer = await client.send({
        method: 'POST',
        path: 'oauth/2/token',
        body: exchangeForm(request),
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          'X-Request-Id': request.requestId,
          ...(request.traceparent === undefined ? {} : { Traceparent: request.traceparent }),
        },
        maxAnswerBytes: maxExchangeAnswer,
        signal,
      })
      return readExchangeAnswer(answer)
    },
    zoneKeys: (zoneId) => fetchJwks(options.url, zoneId, options.timeoutMs),
    async ping() {
      const { status } = await client.send({
        method: 'GET',
        path: 'health',
        body: '',
        headers: {},
        maxAnswerBytes: maxHealthAnswer,
      })
      if (status < 200 || status > 299)
        throw new StsUnreachable('invalid_response', `health answered ${status}`)
    },
    async policyStatus(zoneId) {
      const { status, document } = await client.send({
        method: 'GET',
        path: `internal/policy/status/${encodeURIComponent(zoneId)}`,
        body: '',
        headers: { 'X-Request-Id': uuidv4() },
        maxAnswerBytes: maxPolicyAnswer,
      })
      if (status !== 200 || typeof document?.loaded !== 'boolean') throw invalidAnswer()
      return document as unknown as PolicyStatus
    },
    async simulatePolicy(simulation) {
      const answer = await client.send({
        method: 'POST',
        path: 'internal/policy/simulate',
        body: JSON.stringify(simulation),
        headers: json(),
        maxAnswerBytes: maxPolicyAnswer,
      })
      return readSimulation(answer)
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

/** Exactly the parameters of gateway §9.1. */
function exchangeForm(request: GatewayExchangeRequest): string {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    zone_id: request.zoneId,
    application_id: request.applicationId,
    subject_token: request.mandate,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: request.resource,
    request_method: request.method,
    request_path: request.path,
    gateway_request_id: request.requestId,
  }).toString()
}

function readSimulation({ status, document }: StsAnswer): PolicySimulationResult {
  if (status === 200 && document !== null) {
    return { ok: true, ...document } as unknown as PolicySimulationResult
  }
  const error = document?.error
  if ((status !== 400 && status !== 422) || (error !== 'invalid_token' && error !== 'policy_eval_failed')) {
    throw invalidAnswer()
  }
  return { ok: false, status, error, description: String(document?.error_description ?? '') }
}
