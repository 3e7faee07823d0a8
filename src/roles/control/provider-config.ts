/**
 * What a provider's configuration may hold (gateway §22.2, control-api §7.7).
 * Input is one flat object; the answer splits it into the public part, which is
 * stored and returned, and the secrets, which are sealed and never come back.
 * Keys outside the table of a kind are refused: a misspelt key must not silently
 * leave a provider without protection.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { CaracalError } from '../../platform/errors.ts'

export const providerKinds = [
  'none',
  'caracal_mandate',
  'oauth2_authorization_code',
  'oauth2_client_credentials',
  'api_key',
  'bearer_token',
  'http_basic',
] as const
export type ProviderKind = (typeof providerKinds)[number]

export const secretKeys = ['api_key', 'bearer_token', 'client_secret', 'password', 'private_key'] as const

export interface ProviderConfig {
  readonly public: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, string>>
}

type FieldCheck = (value: unknown, field: string) => unknown

class ConfigError extends Error {}

const fail = (field: string, rule: string): never => {
  throw new ConfigError(`${field} ${rule}`)
}

/** PEM values have lines; nothing else may carry control characters into a header or a row. */
const multiline: ReadonlySet<string> = new Set(['private_key', 'certificate'])

const text: FieldCheck = (value, field) => {
  if (typeof value !== 'string' || value.trim() === '') return fail(field, 'must be a non-empty string')
  const trimmed = value.trim()
  if (/\p{Surrogate}/u.test(trimmed) || trimmed.includes('\0')) fail(field, 'must be well-formed text')
  if (!multiline.has(field) && hasControlCharacter(trimmed)) {
    fail(field, 'must not contain control characters')
  }
  return trimmed
}

const flag: FieldCheck = (value, field) =>
  typeof value === 'boolean' ? value : fail(field, 'must be a boolean')

/** True when `value` holds a C0 control character or DEL. */
function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

const secret: FieldCheck = text

const reservedHeaders = new Set([
  'baggage',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-real-ip',
  'x-request-id',
])

const header: FieldCheck = (value, field) => {
  const name = text(value, field) as string
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) fail(field, 'must be an HTTP header name')
  const lower = name.toLowerCase()
  const reservedPrefix = ['x-caracal-', 'x-forwarded-', 'proxy-'].some((prefix) => lower.startsWith(prefix))
  if (reservedHeaders.has(lower) || reservedPrefix) fail(field, 'is a reserved header')
  return name
}

const scheme: FieldCheck = (value, field) => {
  const name = text(value, field) as string
  return /^[A-Za-z][A-Za-z0-9-]*$/.test(name) ? name : fail(field, 'must match ^[A-Za-z][A-Za-z0-9-]*$')
}

const parameterName: FieldCheck = (value, field) => {
  const name = text(value, field) as string
  return /^[A-Za-z0-9._~-]+$/.test(name) ? name : fail(field, 'must match ^[A-Za-z0-9._~-]+$')
}

const textList: FieldCheck = (value, field) =>
  Array.isArray(value) && value.length > 0
    ? value.map((entry) => text(entry, field))
    : fail(field, 'must be a non-empty list of non-empty strings')

/** Lower-case DNS name: at most 253 characters, alphanumeric ends, no empty label. */
export function isDnsName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(host) && !host.includes('..')
}

const hostList: FieldCheck = (value, field) =>
  (textList(value, field) as string[]).map((entry) => {
    const host = entry.toLowerCase()
    return isDnsName(host) ? host : (fail(field, 'must hold DNS names') as string)
  })

const httpsUrl: FieldCheck = (value, field) => {
  const url = text(value, field) as string
  const parsed = parseUrl(url)
  if (parsed === null || parsed.protocol !== 'https:' || parsed.hostname === '')
    fail(field, 'must be an https URL')
  else if (parsed.username !== '' || parsed.password !== '') fail(field, 'must not contain credentials')
  return url
}

function parseUrl(value: string): URL | null {
  try {
    return new URL(value)
  } catch {
    return null
  }
}

const absoluteUri: FieldCheck = (value, field) => {
  const uri = text(value, field) as string
  return parseUrl(uri) === null ? fail(field, 'must be an absolute URI') : uri
}

const parameters =
  (reserved: ReadonlySet<string>): FieldCheck =>
  (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return fail(field, 'must be an object of strings')
    }
    const checked: Record<string, string> = {}
    for (const [name, entry] of Object.entries(value)) {
      parameterName(name, field)
      if (reserved.has(name)) fail(field, `must not set ${name}`)
      checked[name] = text(entry, field) as string
    }
    return checked
  }

const authorizationParams = parameters(
  new Set([
    'client_id',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
  ]),
)
const tokenParams = parameters(
  new Set([
    'client_assertion',
    'client_assertion_type',
    'client_id',
    'client_secret',
    'code',
    'code_verifier',
    'grant_type',
    'redirect_uri',
    'refresh_token',
    'scope',
  ]),
)

const oneOf =
  (...values: readonly string[]): FieldCheck =>
  (value, field) =>
    typeof value === 'string' && values.includes(value)
      ? value
      : fail(field, `must be one of ${values.join(', ')}`)

const delivery = { auth_header: header, auth_scheme: scheme, forward_caracal_identity: flag }

const fieldsByKind: Readonly<Record<ProviderKind, Readonly<Record<string, FieldCheck>>>> = {
  none: {},
  caracal_mandate: {},
  api_key: {
    auth_location: oneOf('header', 'query'),
    header_name: header,
    query_param_name: parameterName,
    api_key: secret,
    auth_scheme: scheme,
    allowed_token_hosts: hostList,
    forward_caracal_identity: flag,
    allow_runtime_injection: flag,
  },
  bearer_token: {
    bearer_token: secret,
    ...delivery,
    allowed_token_hosts: hostList,
    allow_runtime_injection: flag,
  },
  http_basic: {
    username: text,
    password: secret,
    allowed_token_hosts: hostList,
    forward_caracal_identity: flag,
  },
  oauth2_authorization_code: {
    authorization_endpoint: httpsUrl,
    token_endpoint: httpsUrl,
    redirect_uri: absoluteUri,
    client_id: text,
    client_secret: secret,
    scopes: textList,
    client_auth_method: oneOf('client_secret_basic', 'client_secret_post', 'none'),
    revocation_endpoint: httpsUrl,
    allowed_token_hosts: hostList,
    authorization_params: authorizationParams,
    token_params: tokenParams,
    ...delivery,
  },
  oauth2_client_credentials: {
    token_endpoint: httpsUrl,
    client_id: text,
    client_secret: secret,
    private_key: secret,
    scopes: textList,
    client_auth_method: oneOf('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'),
    grant_type: oneOf('client_credentials', 'jwt_bearer'),
    assertion_subject: text,
    assertion_audience: text,
    audience: text,
    resource: text,
    key_id: text,
    certificate: text,
    allowed_token_hosts: hostList,
    token_params: tokenParams,
    ...delivery,
    allow_runtime_injection: flag,
  },
}

type Checked = Record<string, unknown>

function required(config: Checked, fields: readonly string[]): void {
  for (const field of fields) if (config[field] === undefined) fail(field, 'is required')
}

function refuseSchemePrefix(config: Checked, field: string, effective: unknown): void {
  const value = config[field]
  if (typeof value !== 'string' || typeof effective !== 'string') return
  if (value.toLowerCase().startsWith(`${effective.toLowerCase()} `)) {
    fail(field, `must not start with its scheme ${effective}`)
  }
}

function defaultTokenHosts(config: Checked): void {
  const endpoint = new URL(config.token_endpoint as string)
  config.allowed_token_hosts ??= [endpoint.hostname.toLowerCase()]
  if (config.revocation_endpoint === undefined) return
  const host = new URL(config.revocation_endpoint as string).hostname.toLowerCase()
  if (!(config.allowed_token_hosts as string[]).includes(host)) {
    fail('revocation_endpoint', 'must be on a host of allowed_token_hosts')
  }
}

function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    return fail('private_key', 'must be a PEM private key')
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    return fail('certificate', 'must be a PEM certificate')
  }
}

function checkPrivateKey(config: Checked): void {
  const key = privateKeyOf(config.private_key as string)
  const curve = key.asymmetricKeyDetails?.namedCurve ?? ''
  const supported =
    key.asymmetricKeyType === 'rsa' ||
    (key.asymmetricKeyType === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(curve))
  if (!supported) fail('private_key', 'must be an RSA key or an EC key on P-256, P-384 or P-521')
  if (config.certificate === undefined) return
  const certificate = certificateOf(config.certificate as string)
  if (!certificate.checkPrivateKey(key)) fail('certificate', 'must match private_key')
}

interface Completion {
  /** Secrets that a stored document already holds count as given. */
  readonly sealed: ReadonlySet<string>
  /** False when the caller patches public fields only and keeps what is sealed. */
  readonly secretsRequired: boolean
}

function requireSecrets(config: Checked, fields: readonly string[], completion: Completion): void {
  for (const field of fields) {
    if (config[field] !== undefined) continue
    if (completion.secretsRequired || !completion.sealed.has(field)) fail(field, 'is required')
  }
}

function completeClientCredentials(config: Checked, completion: Completion): void {
  required(config, ['token_endpoint', 'client_id'])
  config.grant_type ??= 'client_credentials'
  const bearerGrant = config.grant_type === 'jwt_bearer'
  config.client_auth_method ??= bearerGrant ? 'none' : 'client_secret_basic'
  const method = config.client_auth_method
  const usesKey = method === 'private_key_jwt' || bearerGrant
  if (bearerGrant && method === 'private_key_jwt')
    fail('client_auth_method', 'cannot be private_key_jwt with jwt_bearer')
  const foreign = bearerGrant ? ['audience', 'resource'] : ['assertion_subject', 'assertion_audience']
  for (const field of foreign) {
    if (config[field] !== undefined)
      fail(field, `is not allowed with grant_type ${String(config.grant_type)}`)
  }
  for (const field of ['private_key', 'key_id']) {
    if (!usesKey && config[field] !== undefined) fail(field, 'needs private_key_jwt or jwt_bearer')
  }
  if (method !== 'private_key_jwt' && config.certificate !== undefined)
    fail('certificate', 'needs private_key_jwt')
  if (method === 'private_key_jwt' && config.client_secret !== undefined) {
    fail('client_secret', 'is not allowed with private_key_jwt')
  }
  const secrets = [
    ...(usesKey ? ['private_key'] : []),
    ...(method === 'client_secret_basic' || method === 'client_secret_post' ? ['client_secret'] : []),
  ]
  requireSecrets(config, secrets, completion)
  if (config.private_key !== undefined) checkPrivateKey(config)
  defaultTokenHosts(config)
}

const complete: Readonly<Record<ProviderKind, (config: Checked, completion: Completion) => void>> = {
  none: () => {},
  caracal_mandate: () => {},
  api_key: (config, completion) => {
    config.auth_location ??= 'header'
    const inHeader = config.auth_location === 'header'
    required(config, [inHeader ? 'header_name' : 'query_param_name'])
    const other = inHeader ? 'query_param_name' : 'header_name'
    if (config[other] !== undefined)
      fail(other, `is not allowed with auth_location ${String(config.auth_location)}`)
    if (!inHeader && config.auth_scheme !== undefined) fail('auth_scheme', 'is only allowed in a header')
    requireSecrets(config, ['api_key'], completion)
    refuseSchemePrefix(config, 'api_key', config.auth_scheme)
  },
  bearer_token: (config, completion) => {
    requireSecrets(config, ['bearer_token'], completion)
    refuseSchemePrefix(config, 'bearer_token', config.auth_scheme ?? 'Bearer')
  },
  http_basic: (config, completion) => {
    required(config, ['username'])
    if ((config.username as string).includes(':')) fail('username', 'must not contain a colon')
    requireSecrets(config, ['password'], completion)
  },
  oauth2_authorization_code: (config, completion) => {
    required(config, ['authorization_endpoint', 'token_endpoint', 'redirect_uri', 'client_id'])
    config.client_auth_method ??= 'client_secret_basic'
    if (config.client_auth_method !== 'none') requireSecrets(config, ['client_secret'], completion)
    defaultTokenHosts(config)
  },
  oauth2_client_credentials: completeClientCredentials,
}

/**
 * Checks and completes the configuration of `kind`; `sealed` names the secrets already
 * stored that may stand in for missing ones (a patch without `kind`). Throws 400
 * `invalid_provider_config` with a sentence naming kind and field, never a value.
 */
export function parseProviderConfig(
  kind: ProviderKind,
  input: Readonly<Record<string, unknown>>,
  sealed: readonly string[] | null = null,
): ProviderConfig {
  try {
    const checks = fieldsByKind[kind]
    const config: Checked = {}
    for (const [field, value] of Object.entries(input)) {
      const check = Object.hasOwn(checks, field) ? checks[field] : undefined
      if (check === undefined) return fail(field, 'is not a setting of this kind')
      config[field] = check(value, field)
    }
    complete[kind](config, { sealed: new Set(sealed ?? []), secretsRequired: sealed === null })
    return split(config)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new CaracalError('invalid_provider_config', { status: 400, message: `${kind}: ${error.message}` })
  }
}

/** Fills in the defaults a stored configuration has, for comparison only; `null` when the input is not valid. */
export function normalizePublicConfig(
  kind: ProviderKind,
  input: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | null {
  try {
    return parseProviderConfig(kind, input, secretKeys).public
  } catch {
    return null
  }
}

function split(config: Checked): ProviderConfig {
  const secrets: Record<string, string> = {}
  const open: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(config)) {
    if ((secretKeys as readonly string[]).includes(field)) secrets[field] = value as string
    else open[field] = value
  }
  return { public: open, secrets }
}

export function isOAuthKind(kind: ProviderKind): boolean {
  return kind === 'oauth2_authorization_code' || kind === 'oauth2_client_credentials'
}
