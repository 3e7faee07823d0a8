/** What a client is made of, and where it is found: given in code, in a profile, in the environment (sdk-cli-console §3). */
import { assertPositiveInteger } from './authority.ts'
import { configFromEnv, configFromProfile, type DetectedConfig, findProfile } from './config/detect.ts'
import { configDirectory, type Environment } from './config/directory.ts'
import { mergeBindings } from './config/resources.ts'
import { isProduction } from './config/urls.ts'
import type { TokenSource } from './context.ts'
import type { Warn } from './core.ts'
import { createEventHub, type EventHub } from './events.ts'
import {
  type Credentials,
  type CredentialsResolver,
  createSecretExchanger,
  type Exchanger,
} from './exchanger.ts'
import type { ResourceBinding } from './gateway-route.ts'
import { lifecycleTokens } from './lifecycle-tokens.ts'

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

/** Event hubs of configurations whose exchanger reports already before the client exists. */
const hubs = new WeakMap<object, EventHub>()

/** The hub that its exchanger reports to, or a new one. */
export const hubOf = (config: CaracalConfig): EventHub => hubs.get(config) ?? createEventHub()

/** As the constructor finds it: a client secret given, else a profile, else the environment. */
export function detectConfig(options: DetectionOptions): CaracalConfig {
  const env = options.env ?? process.env
  if (options.clientSecret !== undefined) return withSecret(options.clientSecret)
  const profile = options.configPath ?? findProfile(env)
  return profile === null ? fromEnvironment(env) : settled(configFromProfile(profile, env), env)
}

export const fromEnvironment = (env: Environment): CaracalConfig => settled(configFromEnv(env), env)

/** `path`, else `CARACAL_CONFIG`, else the configuration directory's. Throws where there is none. */
export function fromProfile(path: string | undefined, env: Environment): CaracalConfig {
  const profile = path ?? findProfile(env)
  if (profile === null) throw new Error(`there is no profile in ${configDirectory(env)}`)
  return settled(configFromProfile(profile, env), env)
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

/** Throws `TypeError` for what is missing. */
export function withSecret(options: ClientSecretOptions): CaracalConfig {
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

/** Throws `TypeError` for a configuration no client can work with. */
export function assertComplete(config: CaracalConfig): void {
  if (!config.coordinator?.baseUrl) throw new TypeError('coordinator.baseUrl is required')
  if ((config.subjectToken === undefined) === (config.tokenSource === undefined))
    throw new TypeError('exactly one of subjectToken and tokenSource is required')
  if (config.exchanger === undefined && (!config.zoneId || !config.applicationId))
    throw new TypeError('zoneId and applicationId are required without an exchanger')
  if (config.defaultTtlSeconds !== undefined)
    assertPositiveInteger(config.defaultTtlSeconds, 'defaultTtlSeconds')
}

export function bindingsOf(resources: CaracalConfig['resources'] = []): ResourceBinding[] {
  return mergeBindings(resources.map((one) => (typeof one === 'string' ? { resourceId: one } : one)))
}
