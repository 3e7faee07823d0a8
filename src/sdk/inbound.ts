/**
 * Binding the identity that came with a request (sdk-cli-console §4.6). Baggage is unsigned:
 * ids from it are only taken where nobody decides by them, or when the caller says so.
 */
import { type CaracalContext, runInContext } from './context.ts'
import type { ClientCore } from './core.ts'
import { decodeEnvelope, type HeaderSource, maxHop } from './envelope.ts'

/** What a verifier found in the bearer; replaces every id of the baggage, also by its absence. */
export interface VerifiedClaims {
  readonly zoneId: string
  readonly applicationId: string
  readonly hop: number
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
  readonly parentDelegationId?: string | undefined
  readonly subjectAuthorityRecordId?: string | undefined
}

export interface InboundOptions {
  readonly verify?: ((token: string) => VerifiedClaims | Promise<VerifiedClaims>) | undefined
  /** Serve requests without a bearer as the application itself. */
  readonly asApplication?: boolean | undefined
  /** Take unverified requests in production: something in front of this process verified them. */
  readonly trustedPropagation?: boolean | undefined
}

/** The request carries no acceptable identity. */
export class InboundAuthorizationError extends Error {
  override readonly name = 'InboundAuthorizationError'
}

export async function bindFromHeaders<T>(
  core: ClientCore,
  production: boolean,
  headers: HeaderSource,
  fn: (context: CaracalContext) => T | Promise<T>,
  options: InboundOptions,
): Promise<T> {
  const context = await inboundContext(core, production, headers, options)
  return runInContext(context, () => fn(context))
}

async function inboundContext(
  core: ClientCore,
  production: boolean,
  headers: HeaderSource,
  options: InboundOptions,
): Promise<CaracalContext> {
  core.assertOpen()
  const envelope = decodeEnvelope(headers)
  const { traceId, traceFlags, traceState, baggage, bearer } = envelope
  const common = { traceId, traceFlags, traceState, baggage }
  if (bearer === undefined) {
    if (options.asApplication !== true)
      throw new InboundAuthorizationError('the request carries no bearer token')
    const { zoneId, applicationId } = await core.identity()
    const tokenSource = core.rootTokens
    return {
      ...common,
      zoneId,
      applicationId,
      subjectToken: await tokenSource(),
      hop: 0,
      ownToken: true,
      tokenSource,
    }
  }
  if (options.verify !== undefined) {
    const claims = await options.verify(bearer)
    if (!Number.isInteger(claims.hop) || claims.hop < 0 || claims.hop > maxHop)
      throw new InboundAuthorizationError('the verifier answered a hop outside 0 to 10')
    const { zoneId, applicationId, hop, sessionId, delegationId, parentDelegationId } = claims
    const { subjectAuthorityRecordId } = claims
    const ids = { sessionId, delegationId, parentDelegationId, subjectAuthorityRecordId }
    return { ...common, ...ids, zoneId, applicationId, hop, subjectToken: bearer }
  }
  if (production && options.trustedPropagation !== true)
    throw new InboundAuthorizationError(
      'inbound requests need a verifier in production (or trustedPropagation: true behind something that verifies)',
    )
  const { zoneId, applicationId } = await core.identity()
  const { sessionId, delegationId, parentDelegationId, subjectAuthorityRecordId, hop } = envelope
  const ids = { sessionId, delegationId, parentDelegationId, subjectAuthorityRecordId }
  return { ...common, ...ids, zoneId, applicationId, hop, subjectToken: bearer }
}

interface IncomingRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

interface OutgoingResponse {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body?: string): unknown
}

export type ContextMiddleware = (
  request: IncomingRequest,
  response: OutgoingResponse,
  next: (error?: unknown) => void,
) => void

const refusal = JSON.stringify({
  error: 'unauthorized',
  error_description: 'invalid or missing authorization',
})

/** Connect-style middleware: the handlers after it run in the request's context; 401 when it has none. */
export function createContextMiddleware(
  core: ClientCore,
  production: boolean,
  options: InboundOptions,
): ContextMiddleware {
  return (request, response, next) => {
    void inboundContext(core, production, request.headers, options).then(
      (context) => runInContext(context, () => next()),
      () => {
        response.statusCode = 401
        response.setHeader('content-type', 'application/json')
        response.setHeader('www-authenticate', 'Bearer error="invalid_token"')
        response.end(refusal)
      },
    )
  }
}
