/** `fetch` functions that carry a governed identity (sdk-cli-console §4.4, §7). */
import type { ApplicationAuthorities } from './application-authority.ts'
import { assertPositiveInteger } from './authority.ts'
import { type CaracalContext, currentContext } from './context.ts'
import type { ClientCore } from './core.ts'
import { encodeEnvelope } from './envelope.ts'
import { CaracalError } from './errors.ts'
import type { Exchanger } from './exchanger.ts'
import { type GatewayRoute, routeToGateway } from './gateway-route.ts'
import { decodeJwt } from './jwt.ts'
import { type MintOptions, mintMandate } from './mint-mandate.ts'
import { type FetchInput, outgoing, withTimeout } from './outgoing.ts'

export const resourceHeader = 'X-Caracal-Resource'

export type FetchFunction = (input: FetchInput, init?: RequestInit) => Promise<Response>

export interface TransportOptions {
  /** Act as the application itself, whatever the context. */
  readonly asApplication?: boolean | undefined
  /** Mint a one-use gateway mandate with these scopes for every request. */
  readonly scopes?: readonly string[] | undefined
  readonly approvalId?: string | undefined
  readonly timeoutMs?: number | undefined
  /** Whether requests that do not go through the gateway carry trace and baggage. Default `gateway-only`. */
  readonly propagation?: 'always' | 'gateway-only' | undefined
}

export interface ApplicationTransportOptions {
  readonly scopes: readonly string[]
  /** Default: the application's id. */
  readonly labels?: readonly string[] | undefined
  /** Default 900. */
  readonly mandateTtlSeconds?: number | undefined
  readonly approvalId?: string | undefined
  readonly timeoutMs?: number | undefined
}

/** A `fetch` under the context of each call. */
export function createTransport(core: ClientCore, options: TransportOptions): FetchFunction {
  return async (input, init) => {
    core.assertOpen()
    const context = options.asApplication === true ? undefined : currentContext()
    if (context === undefined && options.asApplication !== true)
      throw new Error('no Caracal context: call inside session() or bind(), or pass asApplication: true')
    const request = outgoing(input, init)
    const explicit = request.headers.get(resourceHeader) || undefined
    const route = routeToGateway(request.rawUrl, explicit, core.gatewayUrl, core.bindings)
    const sent = withTimeout(request.init, options.timeoutMs)
    if (route === null) {
      if (options.propagation === 'always' && context !== undefined) encodeEnvelope(context, request.headers)
      return core.fetch(request.rawUrl, { ...sent, headers: request.headers })
    }
    const bearer = await bearerFor(core, route, context, options, sent.signal)
    return sendThroughGateway(core, route, bearer, context, request.headers, sent)
  }
}

/** A `fetch` of the application itself for one resource: the sequence of §2, made once and reused. */
export function createApplicationTransport(
  core: ClientCore,
  authorities: ApplicationAuthorities | null,
  resourceId: string,
  options: ApplicationTransportOptions,
): FetchFunction {
  const { exchanger, gatewayUrl } = core
  if (exchanger === null || authorities === null)
    throw new Error('applicationTransport needs client credentials, not a token')
  if (gatewayUrl === undefined) throw new Error('applicationTransport needs gatewayUrl')
  if (typeof resourceId !== 'string' || resourceId.trim() === '')
    throw new TypeError('resourceId must not be empty')
  const scopes = [...new Set(options?.scopes ?? [])].sort()
  if (scopes.length === 0) throw new TypeError('scopes must not be empty')
  const mandateTtlSeconds = options.mandateTtlSeconds ?? 900
  assertPositiveInteger(mandateTtlSeconds, 'mandateTtlSeconds')
  const request = { resourceId, scopes, labels: options.labels, mandateTtlSeconds }

  return async (input, init) => {
    core.assertOpen()
    const { rawUrl, headers, init: given } = outgoing(input, init)
    const route = routeToGateway(rawUrl, resourceId, gatewayUrl, core.bindings)
    if (route === null) throw new TypeError('this URL cannot be sent through the gateway')
    const sent = withTimeout(given, options.timeoutMs)
    const authority = await authorities.acquire(request, sent.signal)
    let bearer: string
    try {
      bearer = await mintFor(exchanger, request, authority, options.approvalId, sent.signal)
    } catch (error) {
      if (error instanceof CaracalError && error.code === 'access_denied') authorities.discard(authority)
      throw error
    }
    const { traceId, traceFlags, traceState, baggage } = currentContext() ?? {}
    const context = { ...authority, traceId, traceFlags, traceState, baggage, hop: 0, subjectToken: bearer }
    return sendThroughGateway(core, route, bearer, context, headers, sent)
  }
}

async function mintFor(
  exchanger: Exchanger,
  request: {
    readonly resourceId: string
    readonly scopes: readonly string[]
    readonly mandateTtlSeconds: number
  },
  authority: { readonly sessionId: string; readonly delegationId: string },
  approvalId: string | undefined,
  signal: AbortSignal | null | undefined,
): Promise<string> {
  const { accessToken } = await exchanger.exchange({
    resources: [request.resourceId],
    scopes: request.scopes,
    sessionId: authority.sessionId,
    delegationId: authority.delegationId,
    ttlSeconds: request.mandateTtlSeconds,
    approvalId,
    cache: false,
    signal: signal ?? undefined,
  })
  return accessToken
}

/** The bearer of a request through the gateway, chosen as sdk-cli-console §4.4 lists it. */
async function bearerFor(
  core: ClientCore,
  route: GatewayRoute,
  context: CaracalContext | undefined,
  options: TransportOptions,
  signal: AbortSignal | null | undefined,
): Promise<string> {
  if (options.scopes !== undefined && options.scopes.length > 0 && route.resourceId !== undefined) {
    const mint: MintOptions = { approvalId: options.approvalId, signal: signal ?? undefined }
    return (await mintMandate(core, route.resourceId, options.scopes, mint, context, false)).token
  }
  const own =
    context === undefined ? core.rootTokens : context.ownToken === true ? context.tokenSource : undefined
  const token = own === undefined ? (context?.subjectToken ?? '') : await own()
  const use = decodeJwt(token)?.claims.use
  if (use !== undefined && use !== 'gateway')
    throw new Error(
      `the gateway takes gateway mandates, not one for ${JSON.stringify(use)}: pass scopes so that one is minted for each request`,
    )
  if (route.resourceId === undefined)
    throw new Error(`a request to the gateway must name its resource in ${resourceHeader}`)
  return token
}

function sendThroughGateway(
  core: ClientCore,
  route: GatewayRoute,
  bearer: string,
  context: CaracalContext | undefined,
  headers: Headers,
  init: RequestInit,
): Promise<Response> {
  headers.set('authorization', `Bearer ${bearer}`)
  if (route.resourceId !== undefined) headers.set(resourceHeader, route.resourceId)
  encodeEnvelope(context ?? {}, headers)
  return core.fetch(route.url, { ...init, headers, redirect: 'manual' })
}
