/**
 * The application SDK's one door (sdk-cli-console §4): configuration in, governed sessions,
 * delegations and `fetch` functions out. Each method's work is in the file of its name.
 */
import { type ApplicationAuthorities, createApplicationAuthorities } from './application-authority.ts'
import type { SessionOptions } from './begin-session.ts'
import type { Environment } from './config/directory.ts'
import { isProduction } from './config/urls.ts'
import {
  assertComplete,
  bindingsOf,
  type CaracalConfig,
  type ClientSecretOptions,
  type DetectionOptions,
  detectConfig,
  fromEnvironment,
  fromProfile,
  hubOf,
  withSecret,
} from './configuration.ts'
import {
  type AuthorityDescription,
  type CaracalContext,
  captureContext,
  currentContext,
  describeAuthority,
  runInContext,
  type TokenSource,
} from './context.ts'
import { createCoordinatorClient } from './coordinator.ts'
import type { ClientCore } from './core.ts'
import {
  acceptDelegation,
  type DelegateOptions,
  type Delegation,
  delegate,
  revokeDelegation,
} from './delegation.ts'
import { encodeEnvelope, type HeaderSource } from './envelope.ts'
import { isApprovalRequired } from './errors.ts'
import type { EventListener } from './events.ts'
import type { Exchanger, Identity } from './exchanger.ts'
import { gatewayUrlFor } from './gateway-route.ts'
import {
  bindFromHeaders,
  type ContextMiddleware,
  createContextMiddleware,
  type InboundOptions,
} from './inbound.ts'
import { decodeJwt } from './jwt.ts'
import { type MintedMandate, type MintOptions, mintMandate } from './mint-mandate.ts'
import type { ApprovalState } from './oauth/approvals.ts'
import {
  type AttachOptions,
  attachServiceSession,
  type ServiceSession,
  type ServiceSessionOptions,
  startServiceSession,
} from './service-session.ts'
import { runSession, type SessionHook } from './task-session.ts'
import {
  type ApplicationTransportOptions,
  createApplicationTransport,
  createTransport,
  type FetchFunction,
  resourceHeader,
  type TransportOptions,
} from './transport.ts'
import { warn } from './warn.ts'

/** A client of one application. Without options it is configured by a profile or the environment. */
export class Caracal implements AsyncDisposable {
  readonly #core: ClientCore
  readonly #authorities: ApplicationAuthorities | null
  readonly #production: boolean
  readonly #hooks = { start: new Set<SessionHook>(), end: new Set<SessionHook>() }
  readonly #handles: ClientCore['handles'] = new Set()
  readonly #background = new Set<Promise<unknown>>()
  #closing: Promise<void> | null = null

  constructor(options: CaracalConfig | DetectionOptions = {}) {
    const config = 'coordinator' in options ? options : detectConfig(options)
    assertComplete(config)
    this.#production = config.production ?? isProduction(process.env)
    const exchanger = config.exchanger ?? null
    const events = hubOf(config)
    this.#core = {
      coordinator: createCoordinatorClient({ ...config.coordinator, onEvent: events.emit }),
      exchanger,
      fetch: config.fetchImpl ?? ((input, init) => fetch(input, init)),
      gatewayUrl: config.gatewayUrl,
      bindings: bindingsOf(config.resources),
      defaultTtlSeconds: config.defaultTtlSeconds,
      warn: config.logger ?? warn,
      events,
      rootTokens: config.tokenSource ?? (() => config.subjectToken ?? ''),
      identity: () => identityOf(config, exchanger),
      assertOpen: () => this.#assertOpen(),
      background: (work) => this.#track(work),
      handles: this.#handles,
    }
    this.#authorities = exchanger === null ? null : createApplicationAuthorities(this.#core, exchanger)
  }

  /** Environment mode only: no profile is looked for. Throws for what is missing, all of it in one message. */
  static fromEnv(env: Environment = process.env): Caracal {
    return new Caracal(fromEnvironment(env))
  }

  /** Profile mode: `path`, else `CARACAL_CONFIG`, else the configuration directory's. */
  static fromConfig(path?: string, env: Environment = process.env): Caracal {
    return new Caracal(fromProfile(path, env))
  }

  /** From values in code; nothing is read from the environment. */
  static fromClientSecret(options: ClientSecretOptions): Caracal {
    return new Caracal(withSecret(options))
  }

  /** Runs `fn` in a governed session and ends it; answers what `fn` answers. */
  session<T>(fn: (context: CaracalContext) => T | Promise<T>, options: SessionOptions = {}): Promise<T> {
    return runSession(this.#core, this.#hooks, fn, options)
  }

  /** Starts a service session whose lease is kept until `close()`. */
  startSession(options: ServiceSessionOptions = {}): Promise<ServiceSession> {
    return startServiceSession(this.#core, options)
  }

  /** Takes over a running service session. */
  attachSession(sessionId: string, options: AttachOptions = {}): Promise<ServiceSession> {
    return attachServiceSession(this.#core, sessionId, options)
  }

  /** Hands scopes of the current session to another one; the own context stays as it is. */
  delegate(options: DelegateOptions): Promise<Delegation> {
    return delegate(this.#core, options)
  }

  /** Runs `fn` under a delegation to the current session; `validate` asks first whether it is active. */
  acceptDelegation<T>(
    delegationId: string,
    fn: (context: CaracalContext) => T | Promise<T>,
    options: { readonly validate?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    return acceptDelegation(this.#core, delegationId, fn, options)
  }

  /** Takes a delegation back, with everything that was delegated on from it. */
  revokeDelegation(
    delegationId: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    return revokeDelegation(this.#core, delegationId, options)
  }

  /** URL and headers of a request for a resource through the gateway. */
  gatewayRequest(
    resourceId: string,
    path = '/',
  ): { readonly url: string; readonly headers: Record<string, string> } {
    const { gatewayUrl } = this.#core
    if (gatewayUrl === undefined) throw new Error('gatewayRequest needs gatewayUrl')
    if (resourceId.trim() === '') throw new TypeError('resourceId must not be empty')
    return { url: gatewayUrlFor(gatewayUrl, path), headers: { [resourceHeader]: resourceId } }
  }

  /** One request for a resource through the gateway. Redirects are answered, not followed. */
  fetch(resourceId: string, path = '/', init: RequestInit & TransportOptions = {}): Promise<Response> {
    const { asApplication, scopes, approvalId, timeoutMs, propagation, ...request } = init
    const headers = new Headers(request.headers)
    const { url } = this.gatewayRequest(resourceId, path)
    headers.set(resourceHeader, resourceId)
    return this.transport({ asApplication, scopes, approvalId, timeoutMs, propagation })(url, {
      ...request,
      headers,
    })
  }

  /** A `fetch` that acts under the context of each call. */
  transport(options: TransportOptions = {}): FetchFunction {
    return createTransport(this.#core, options)
  }

  /** A `fetch` that acts as the application for one resource; takes absolute URLs of the upstream too. */
  applicationTransport(resourceId: string, options: ApplicationTransportOptions): FetchFunction {
    this.#assertOpen()
    return createApplicationTransport(this.#core, this.#authorities, resourceId, options)
  }

  /** A mandate under the current session and delegation. */
  mintMandate(
    resourceId: string,
    scopes: readonly string[],
    options: MintOptions = {},
  ): Promise<MintedMandate> {
    return mintMandate(this.#core, resourceId, scopes, options)
  }

  /** Waits for a human's decision; `pending` when the time is over (default 300 s). */
  async waitForApproval(
    approvalId: string,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ApprovalState> {
    this.#assertOpen()
    const { exchanger, events } = this.#core
    if (exchanger === null) throw new Error('waitForApproval needs client credentials, not a token')
    const began = performance.now()
    const tell = (state: string, ok: boolean) =>
      events.emit({ type: 'approval.wait', approvalId, state, ok, durationMs: performance.now() - began })
    try {
      const state = await exchanger.pollApproval(approvalId, options)
      tell(state, true)
      return state
    } catch (error) {
      tell('unknown', false)
      throw error
    }
  }

  /** Runs `fn`; when a human must approve, waits and runs it again with the approval's id. */
  async withApproval<T>(
    fn: (approvalId?: string) => Promise<T>,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    try {
      return await fn()
    } catch (error) {
      if (!isApprovalRequired(error)) throw error
      if ((await this.waitForApproval(error.approvalId, options)) !== 'approved') throw error
      return fn(error.approvalId)
    }
  }

  /** Exchanges a user's id_token for the user's own session mandate. */
  async federateSubject(
    idToken: string,
    options: {
      readonly ttlSeconds?: number | undefined
      readonly timeoutMs?: number | undefined
      readonly signal?: AbortSignal | undefined
    } = {},
  ): Promise<{
    readonly subjectAuthorityRecordId: string
    readonly token: string
    readonly expiresInSeconds: number
  }> {
    this.#assertOpen()
    const { exchanger } = this.#core
    if (exchanger === null) throw new Error('federateSubject needs client credentials, not a token')
    const mandate = await exchanger.federate(idToken, options)
    const sid = decodeJwt(mandate.accessToken)?.claims.sid
    if (typeof sid !== 'string' || sid === '')
      throw new TypeError('the federated mandate names no authority record')
    return {
      subjectAuthorityRecordId: sid,
      token: mandate.accessToken,
      expiresInSeconds: mandate.expiresInSeconds,
    }
  }

  /** The context that the current code runs in. */
  current(): CaracalContext | undefined {
    return currentContext()
  }

  /** Runs `fn` in `context`, such as one kept from `captureContext()`. */
  bind<T>(context: CaracalContext, fn: () => T): T {
    return runInContext(context, fn)
  }

  /** A copy of the current context, for work that goes on elsewhere. */
  captureContext(): CaracalContext | undefined {
    return captureContext()
  }

  /** The ids under which the current code acts, and their chain; undefined outside any context. */
  describeAuthority(): AuthorityDescription | undefined {
    return describeAuthority()
  }

  /** Envelope and authorization of the current context; for token sources that answer at once. */
  headers(options: { readonly asApplication?: boolean | undefined } = {}): Record<string, string> {
    const { context, tokens } = this.#speaker(options)
    const token = tokens === undefined ? (context?.subjectToken ?? '') : tokens()
    if (typeof token !== 'string') {
      token.catch(() => undefined)
      throw new Error('this client gets its tokens asynchronously: use headersAsync()')
    }
    return envelopeHeaders(context, token)
  }

  async headersAsync(
    options: { readonly asApplication?: boolean | undefined } = {},
  ): Promise<Record<string, string>> {
    const { context, tokens } = this.#speaker(options)
    return envelopeHeaders(context, tokens === undefined ? (context?.subjectToken ?? '') : await tokens())
  }

  /** Runs `fn` under the identity that came with a request. */
  bindFromHeaders<T>(
    headers: HeaderSource,
    fn: (context: CaracalContext) => T | Promise<T>,
    options: InboundOptions = {},
  ): Promise<T> {
    return bindFromHeaders(this.#core, this.#production, headers, fn, options)
  }

  /** Connect-style middleware: handlers run in the context that came with their request; 401 without one. */
  contextMiddleware(options: InboundOptions = {}): ContextMiddleware {
    if (options.verify === undefined && options.trustedPropagation !== true)
      this.#core.warn('contextMiddleware without verify takes identities from unverified requests')
    return createContextMiddleware(this.#core, this.#production, options)
  }

  /** Awaited before the work of every task session; answers how to stop. */
  onSessionStart(hook: SessionHook): () => void {
    this.#hooks.start.add(hook)
    return () => this.#hooks.start.delete(hook)
  }

  /** Awaited after the work of every task session, also when that failed; answers how to stop. */
  onSessionEnd(hook: SessionHook): () => void {
    this.#hooks.end.add(hook)
    return () => this.#hooks.end.delete(hook)
  }

  /** Hears of every exchange, coordinator call, approval and accepted delegation; answers how to stop. */
  onEvent(listener: EventListener): () => void {
    return this.#core.events.on(listener)
  }

  /** Zone and application of this client. */
  identity(): Promise<Identity> {
    return this.#core.identity()
  }

  /** Ends every session this client made for itself. Idempotent, never rejects; the client is unusable afterwards. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(): Promise<void> {
    const handles = [...this.#handles].map((handle) =>
      handle
        .close()
        .catch((error) => this.#core.warn(`session ${handle.sessionId} could not be ended`, error)),
    )
    await Promise.all([...handles, this.#authorities?.close()])
    while (this.#background.size > 0) await Promise.allSettled([...this.#background])
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new Error('Caracal client is closed')
  }

  #track(work: Promise<unknown>): void {
    const settled = work
      .catch((error) => this.#core.warn('background work failed', error))
      .finally(() => this.#background.delete(settled))
    this.#background.add(settled)
  }

  #speaker(options: { readonly asApplication?: boolean | undefined }): {
    readonly context: CaracalContext | undefined
    readonly tokens: TokenSource | undefined
  } {
    this.#assertOpen()
    const context = options.asApplication === true ? undefined : currentContext()
    if (context === undefined && options.asApplication !== true)
      throw new Error('no Caracal context: call inside session() or bind(), or pass asApplication: true')
    if (context === undefined) return { context, tokens: this.#core.rootTokens }
    return { context, tokens: context.ownToken === true ? context.tokenSource : undefined }
  }
}

async function identityOf(config: CaracalConfig, exchanger: Exchanger | null): Promise<Identity> {
  if (config.zoneId && config.applicationId)
    return { zoneId: config.zoneId, applicationId: config.applicationId }
  if (exchanger === null) throw new Error('this client has no identity')
  return exchanger.identity()
}

function envelopeHeaders(context: CaracalContext | undefined, token: string): Record<string, string> {
  const headers = new Headers({ authorization: `Bearer ${token}` })
  encodeEnvelope(context ?? {}, headers)
  return Object.fromEntries(headers)
}
