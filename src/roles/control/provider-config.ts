/**
 * What a provider's configuration may hold (gateway §22.2, control-api §7.7).
 * Input is one flat object; the answer splits it into the public part, which is
 * stored and returned, and the secrets, which are sealed and never come back.
 * Keys outside the table of a kind are refused: a misspelt key must not silently
 * leave a provider without protection.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { hostOf } from '../../platform/egress/guarded-fetch.ts'
import { CaracalError } from '../../platform/errors.ts'
import { ConfigError, fail, fieldsByKind, type ProviderKind } from './provider-fields.ts'

export { type ProviderKind, providerKinds } from './provider-fields.ts'

export const secretKeys = ['api_key', 'bearer_token', 'client_secret', 'password', 'private_key'] as const

export interface ProviderConfig {
  readonly public: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, string>>
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
  config.allowed_token_hosts ??= [hostOf(new URL(config.token_endpoint as string))]
  if (config.revocation_endpoint === undefined) return
  const host = hostOf(new URL(config.revocation_endpoint as string))
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
