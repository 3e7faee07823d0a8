/** Which settings a provider kind has, and what each may hold (gateway §22.2). */
import { isIPv6 } from 'node:net'
import { providerKinds } from '../../platform/db/schema/definitions.ts'
import { tokenRequestParameters } from '../../platform/oauth/client.ts'

export { providerKinds }
export type ProviderKind = (typeof providerKinds)[number]

/** Answers the normalised value. Throws `ConfigError` with field and rule, never the value. */
type FieldCheck = (value: unknown, field: string) => unknown

export class ConfigError extends Error {}

export const fail = (field: string, rule: string): never => {
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
function isDnsName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(host) && !host.includes('..')
}

const hostsThat =
  (fits: (host: string) => boolean, rule: string): FieldCheck =>
  (value, field) =>
    (textList(value, field) as string[]).map((entry) => {
      const host = entry.toLowerCase()
      return fits(host) ? host : (fail(field, rule) as string)
    })

const hostList = hostsThat(isDnsName, 'must hold DNS names')

/** Hosts of token endpoints; those of upstreams are names only. */
const endpointHostList = hostsThat(
  (host) => isDnsName(host) || isIPv6(host),
  'must hold DNS names or addresses',
)

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
      // Assigned to an object it would be no member of it.
      if (reserved.has(name) || name === '__proto__') fail(field, `must not set ${name}`)
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
const tokenParams = parameters(tokenRequestParameters)

const oneOf =
  (...values: readonly string[]): FieldCheck =>
  (value, field) =>
    typeof value === 'string' && values.includes(value)
      ? value
      : fail(field, `must be one of ${values.join(', ')}`)

const delivery = { auth_header: header, auth_scheme: scheme, forward_caracal_identity: flag }

export const fieldsByKind: Readonly<Record<ProviderKind, Readonly<Record<string, FieldCheck>>>> = {
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
    allowed_token_hosts: endpointHostList,
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
    allowed_token_hosts: endpointHostList,
    token_params: tokenParams,
    ...delivery,
    allow_runtime_injection: flag,
  },
}
