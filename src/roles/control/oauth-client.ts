/** Talking to a token endpoint as the configured OAuth client (gateway §25.2, RFC 6749 §2.3, RFC 7523). */
import { createHash, createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import type { EgressGuard, GuardedResponse } from '../../platform/egress/guarded-fetch.ts'
import type { ProviderConfig } from './provider-config.ts'

const ASSERTION_SECONDS = 300

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** `application/x-www-form-urlencoded` form of one credential part, as RFC 6749 §2.3.1 wants it in Basic. */
const formEncode = (value: string): string => new URLSearchParams([['', value]]).toString().slice(1)

function algorithmOf(pem: string): { alg: string; digest: string } {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType === 'rsa') return { alg: 'RS256', digest: 'sha256' }
  const curve = key.asymmetricKeyDetails?.namedCurve
  if (curve === 'secp384r1') return { alg: 'ES384', digest: 'sha384' }
  if (curve === 'secp521r1') return { alg: 'ES512', digest: 'sha512' }
  return { alg: 'ES256', digest: 'sha256' }
}

function thumbprints(certificate: unknown): Record<string, string> {
  if (typeof certificate !== 'string') return {}
  const { raw } = new X509Certificate(certificate)
  const of = (digest: string) => createHash(digest).update(raw).digest('base64url')
  return { x5t: of('sha1'), 'x5t#S256': of('sha256') }
}

function signedJwt(config: ProviderConfig, claims: Record<string, unknown>): string {
  const pem = config.secrets.private_key ?? ''
  const { alg, digest } = algorithmOf(pem)
  const header = {
    alg,
    typ: 'JWT',
    ...(config.public.key_id === undefined ? {} : { kid: config.public.key_id }),
    ...thumbprints(config.public.certificate),
  }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part(header)}.${part(claims)}`
  const signature = sign(digest, Buffer.from(input), {
    key: createPrivateKey(pem),
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

function assertion(config: ProviderConfig, subject: string, audience: string): string {
  const now = Math.floor(Date.now() / 1000)
  return signedJwt(config, {
    iss: text(config.public.client_id),
    sub: subject,
    aud: audience,
    iat: now,
    exp: now + ASSERTION_SECONDS,
    jti: randomUUID(),
  })
}

function authenticate(config: ProviderConfig, form: URLSearchParams): Record<string, string> {
  const clientId = text(config.public.client_id)
  const secret = config.secrets.client_secret ?? ''
  switch (config.public.client_auth_method) {
    case 'client_secret_basic':
      return {
        authorization: `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(secret)}`).toString('base64')}`,
      }
    case 'client_secret_post':
      form.set('client_id', clientId)
      form.set('client_secret', secret)
      return {}
    case 'private_key_jwt':
      form.set('client_id', clientId)
      form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      form.set('client_assertion', assertion(config, clientId, text(config.public.token_endpoint)))
      return {}
    default:
      form.set('client_id', clientId)
      return {}
  }
}

/** The form of a token request without client authentication, extra parameters included. */
export function clientCredentialsForm(config: ProviderConfig): URLSearchParams {
  const { public: open } = config
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries((open.token_params ?? {}) as Record<string, string>)) {
    form.set(name, value)
  }
  if (open.grant_type === 'jwt_bearer') {
    form.set('grant_type', 'urn:ietf:params:oauth:grant-type:jwt-bearer')
    const subject = text(open.assertion_subject) || text(open.client_id)
    const audience = text(open.assertion_audience) || text(open.token_endpoint)
    form.set('assertion', assertion(config, subject, audience))
  } else {
    form.set('grant_type', 'client_credentials')
    for (const name of ['audience', 'resource'])
      if (open[name] !== undefined) form.set(name, text(open[name]))
  }
  if (Array.isArray(open.scopes)) form.set('scope', open.scopes.join(' '))
  return form
}

/** Sends `form` to `endpoint` as the configured client. Rejects with `EgressError`. */
export function postAsClient(
  egress: EgressGuard,
  endpoint: string,
  config: ProviderConfig,
  form: URLSearchParams,
  signal: AbortSignal,
): Promise<GuardedResponse> {
  const headers = authenticate(config, form)
  return egress.fetch(endpoint, {
    method: 'POST',
    headers: {
      ...headers,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: form.toString(),
    allowedHosts: (config.public.allowed_token_hosts ?? []) as readonly string[],
    signal,
  })
}

/** The OAuth error code of an answer, JSON or form; nothing else of it is trusted. */
export function oauthErrorOf(body: Buffer): string | null {
  const source = body.toString('utf8')
  let code: unknown
  try {
    code = (JSON.parse(source) as { error?: unknown } | null)?.error
  } catch {
    code = new URLSearchParams(source).get('error')
  }
  return typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? code : null
}

/** The answer as an object, `null` when it is not JSON. */
export function jsonObjectOf(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
