/**
 * The application SDK's one door (sdk-cli-console §4): configuration in, governed sessions,
 * delegations and `fetch` functions out. Each method's work is in the file of its name.
 */
import { type ApplicationAuthorities, createApplicationAuthorities } from './application-authority.ts'
import { assertPositiveInteger } from './authority.ts'
import type { SessionOptions } from './begin-session.ts'
import { configFromEnv, configFromProfile, type DetectedConfig, findProfile } from './config/detect.ts'
import { configDirectory, type Environment } from './config/directory.ts'
import { mergeBindings } from './config/resources.ts'
import { isProduction } from './config/urls.ts'
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
import type { ClientCore, Warn } from './core.ts'
import {
  acceptDelegation,
  type DelegateOptions,
  type Delegation,
  delegate,
  revokeDelegation,
} from './delegation.ts'
import { encodeEnvelope, type HeaderSource } from './envelope.ts'
import { isApprovalRequired } from './errors.ts'
import { createEventHub, type EventHub, type EventListener } from './events.ts'
import {
  type Credentials,
  type CredentialsResolver,
  createSecretExchanger,
  type Exchanger,
  type Identity,
} from './exchanger.ts'
import { gatewayUrlFor, type ResourceBinding } from './gateway-route.ts'
import {
  bindFromHeaders,
  type ContextMiddleware,
  createContextMiddleware,
  type InboundOptions,
} from './inbound.ts'
import { decodeJwt } from './jwt.ts'
import { lifecycleTokens } from './lifecycle-tokens.ts'
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

export interface CaracalConfig {
  readonly coordinator: {
    readonly baseUrl: string
    readonly fetchImpl?: typeof fetch | undefined
    /** Default 10 000. */
    readonly timeoutMs?: number | undefined
  }
  readonly zoneId?: string | undefined
  readonly applicationId?: string | undefined
  /** Exactly one of `subjectToken` and `tokenSource`. */
  readonly subjectToken?: string | undefined
  readonly tokenSource?: TokenSource | undefined
  readonly exchanger?: Exchanger | undefined
  readonly gatewayUrl?: string | undefined
  readonly resources?: readonly (string | ResourceBinding)[] | undefined
  readonly defaultTtlSeconds?: number | undefined
  readonly logger?: Warn | undefined
  /** For gateway requests; default the global `fetch`. */
  readonly fetchImpl?: typeof fetch | undefined
  /** Refuse unverified inbound requests. Default: as CARACAL_ENV, else NODE_ENV. */
  readonly production?: boolean | undefined
}

export interface ClientSecretOptions {
  readonly coordinatorUrl: string
  readonly stsUrl: string
  readonly zoneId?: string | undefined
  readonly applicationId?: string | undefined
  readonly clientSecret?: string | undefined
  /** Asked before every operation; null: `CredentialsUnavailableError`. */
  readonly credentials?: CredentialsResolver | undefined
  readonly resources?: readonly (string | ResourceBinding)[] | undefined
  readonly gatewayUrl?: string | undefined
  /** Default `agent:lifecycle`. */
  readonly scope?: string | undefined
  readonly defaultTtlSeconds?: number | undefined
  readonly fetchImpl?: typeof fetch | undefined
  readonly logger?: Warn | undefined
  readonly production?: boolean | undefined
}

export interface DetectionOptions {
  /** Default `process.env`. */
  readonly env?: Environment | undefined
  readonly configPath?: string | undefined
  readonly clientSecret?: ClientSecretOptions | undefined
}

export class Caracal implements AsyncDisposable {
  readonly #core: ClientCore
  readonly #authorities: ApplicationAuthorities | null
  readonly #production: boolean
  readonly #hooks = { start: new Set<SessionHook>(), end: new Set<SessionHook>() }
  readonly #handles: ClientCore['handles'] = new Set()
  readonly #background = new Set<Promise<unknown>>()
  #closing: Promise<void> | null = null

  constructor(options: CaracalConfig | DetectionOptions = {}) {
    const config = 'coordinator' in options ? options : detect(options)
    assertComplete(config)
    this.#production = config.production ?? isProduction(process.env)
    const exchanger = config.exchanger ?? null
    const events = hubs.get(config) ?? createEventHub()
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

  static fromEnv(env: Environment = process.env): Caracal {
    return new Caracal(settled(configFromEnv(env), env))
  }

  /** Profile mode: `path`, else `CARACAL_CONFIG`, else the configuration directory's. */
  static fromConfig(path?: string, env: Environment = process.env): Caracal {
    const profile = path ?? findProfile(env)
    if (profile === null) throw new Error(`there is no profile in ${configDirectory(env)}`)
    return new Caracal(settled(configFromProfile(profile, env), env))
  }

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

  delegate(options: DelegateOptions): Promise<Delegation> {
    return delegate(this.#core, options)
  }

  acceptDelegation<T>(
    delegationId: string,
    fn: (context: CaracalContext) => T | Promise<T>,
    options: { readonly validate?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    return acceptDelegation(this.#core, delegationId, fn, options)
  }

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

  current(): CaracalContext | undefined {
    return currentContext()
  }

  bind<T>(context: CaracalContext, fn: () => T): T {
    return runInContext(context, fn)
  }

  captureContext(): CaracalContext | undefined {
    return captureContext()
  }

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

  onSessionEnd(hook: SessionHook): () => void {
    this.#hooks.end.add(hook)
    return () => this.#hooks.end.delete(hook)
  }

  onEvent(listener: EventListener): () => void {
    return this.#core.events.on(listener)
  }

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

/** Event hubs of configurations whose exchanger reports already before the client exists. */
const hubs = new WeakMap<object, EventHub>()

function detect(options: DetectionOptions): CaracalConfig {
  const env = options.env ?? process.env
  if (options.clientSecret !== undefined) return withSecret(options.clientSecret)
  const profile = options.configPath ?? findProfile(env)
  return settled(profile === null ? configFromEnv(env) : configFromProfile(profile, env), env)
}

function settled(config: DetectedConfig, env: Environment): CaracalConfig {
  const { zoneId, applicationId, credential, stsUrl, coordinatorUrl, gatewayUrl, defaultTtlSeconds } = config
  const common = { gatewayUrl, defaultTtlSeconds, resources: config.bindings, production: isProduction(env) }
  if (credential.kind === 'token')
    return {
      ...common,
      coordinator: { baseUrl: coordinatorUrl },
      zoneId,
      applicationId,
      subjectToken: credential.token,
    }
  const { clientSecret } = credential
  return withSecret({ ...common, stsUrl, coordinatorUrl, zoneId, applicationId, clientSecret })
}

function withSecret(options: ClientSecretOptions): CaracalConfig {
  const { stsUrl, coordinatorUrl, fetchImpl, defaultTtlSeconds } = options
  if (!stsUrl || !coordinatorUrl) throw new TypeError('stsUrl and coordinatorUrl are required')
  if (defaultTtlSeconds !== undefined) assertPositiveInteger(defaultTtlSeconds, 'defaultTtlSeconds')
  const events = createEventHub()
  const exchanger = createSecretExchanger({
    stsUrl,
    credentials: options.credentials ?? fixedCredentials(options),
    fetchImpl,
    onEvent: events.emit,
  })
  const resources = bindingsOf(options.resources)
  const tokenSource = lifecycleTokens(
    exchanger,
    resources.map(({ resourceId }) => resourceId),
    options.scope,
  )
  const config: CaracalConfig = {
    coordinator: { baseUrl: coordinatorUrl, fetchImpl },
    exchanger,
    tokenSource,
    gatewayUrl: options.gatewayUrl,
    resources,
    defaultTtlSeconds,
    fetchImpl,
    logger: options.logger,
    production: options.production,
  }
  hubs.set(config, events)
  return config
}

function fixedCredentials({ zoneId, applicationId, clientSecret }: ClientSecretOptions): Credentials {
  if (!zoneId || !applicationId || !clientSecret)
    throw new TypeError('zoneId, applicationId and clientSecret are required (or a credentials resolver)')
  return { zoneId, applicationId, clientSecret }
}

function assertComplete(config: CaracalConfig): void {
  if (!config.coordinator?.baseUrl) throw new TypeError('coordinator.baseUrl is required')
  if ((config.subjectToken === undefined) === (config.tokenSource === undefined))
    throw new TypeError('exactly one of subjectToken and tokenSource is required')
  if (config.exchanger === undefined && (!config.zoneId || !config.applicationId))
    throw new TypeError('zoneId and applicationId are required without an exchanger')
  if (config.defaultTtlSeconds !== undefined)
    assertPositiveInteger(config.defaultTtlSeconds, 'defaultTtlSeconds')
}

function bindingsOf(resources: CaracalConfig['resources'] = []): ResourceBinding[] {
  return mergeBindings(resources.map((one) => (typeof one === 'string' ? { resourceId: one } : one)))
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
