/**
 * What the client of a configured OAuth provider sends (gateway §25.2, §25.3): how it proves itself, and the grant
 * it asks for in its own name. The STS fetches tokens by it and control tries a provider by it: what was tried is
 * what will be sent.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { SignJWT } from 'jose'
import { uuidv4 } from '../ids.ts'

export interface OAuthClient {
  /** Public settings of the provider. */
  readonly config: Readonly<Record<string, unknown>>
  /** Its opened secret document. */
  readonly secrets: Readonly<Record<string, unknown>>
}

/** The settings do not make a client. The message is safe to show to an operator. */
export class ClientMisconfigured extends Error {
  override readonly name = 'ClientMisconfigured'
}

/** Members of a token request that are the client's own (RFC 6749, RFC 7521, RFC 7636): no setting may add them. */
export const tokenRequestParameters: ReadonlySet<string> = new Set([
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
])

const proofSeconds = 60
const grantSeconds = 300

/** A text setting; an empty one counts as absent. */
export function configText({ config }: Pick<OAuthClient, 'config'>, name: string): string | null {
  const value = config[name]
  return typeof value === 'string' && value !== '' ? value : null
}

/** The texts of a list setting. */
export function configList({ config }: Pick<OAuthClient, 'config'>, name: string): readonly string[] {
  const value = config[name]
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : []
}

function required(client: OAuthClient, name: string): string {
  const value = configText(client, name)
  if (value === null) throw new ClientMisconfigured(`${name} is missing`)
  return value
}

export interface ClientAuthentication {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
}

/** How the client proves itself to any endpoint of its provider. Rejects with `ClientMisconfigured`. */
export async function clientAuthentication(client: OAuthClient): Promise<ClientAuthentication> {
  const clientId = required(client, 'client_id')
  const usual = client.config.grant_type === 'jwt_bearer' ? 'none' : 'client_secret_basic'
  switch (configText(client, 'client_auth_method') ?? usual) {
    case 'client_secret_basic': {
      const credential = Buffer.from(`${clientId}:${secretText(client, 'client_secret')}`, 'utf8')
      return { headers: { authorization: `Basic ${credential.toString('base64')}` }, form: {} }
    }
    case 'client_secret_post':
      return {
        headers: {},
        form: { client_id: clientId, client_secret: secretText(client, 'client_secret') },
      }
    case 'private_key_jwt':
      return {
        headers: {},
        form: {
          client_id: clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await signAssertion(client, proofSeconds, {
            iss: clientId,
            sub: clientId,
            aud: required(client, 'token_endpoint'),
          }),
        },
      }
    case 'none':
      return { headers: {}, form: { client_id: clientId } }
    default:
      throw new ClientMisconfigured('client_auth_method is not supported')
  }
}

/** The members of the grant that needs no person: client credentials, or a JWT. Rejects with `ClientMisconfigured`. */
export async function serviceGrant(client: OAuthClient): Promise<Record<string, string>> {
  const scope = configList(client, 'scopes').join(' ')
  const scoped: Record<string, string> = scope === '' ? {} : { scope }
  const grantType = configText(client, 'grant_type') ?? 'client_credentials'
  if (grantType === 'client_credentials') {
    return {
      grant_type: 'client_credentials',
      ...scoped,
      ...optional(client, 'audience'),
      ...optional(client, 'resource'),
    }
  }
  if (grantType !== 'jwt_bearer') throw new ClientMisconfigured('grant_type is not supported')
  const clientId = required(client, 'client_id')
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: await signAssertion(client, grantSeconds, {
      iss: clientId,
      sub: configText(client, 'assertion_subject') ?? clientId,
      aud: configText(client, 'assertion_audience') ?? required(client, 'token_endpoint'),
      ...scoped,
    }),
  }
}

/** What the operator adds to every token request. Throws `ClientMisconfigured` for a member that is the client's own. */
export function tokenParameters({ config }: Pick<OAuthClient, 'config'>): Record<string, string> {
  const added = config.token_params ?? {}
  if (typeof added !== 'object' || Array.isArray(added)) {
    throw new ClientMisconfigured('token_params is not a map')
  }
  const parameters: Record<string, string> = {}
  for (const [name, value] of Object.entries(added)) {
    if (tokenRequestParameters.has(name) || typeof value !== 'string') {
      throw new ClientMisconfigured('token_params names a reserved parameter')
    }
    parameters[name] = value
  }
  return parameters
}

function optional(client: OAuthClient, name: string): Record<string, string> {
  const value = configText(client, name)
  return value === null ? {} : { [name]: value }
}

/** A JWT under the client's private key; `kid` and certificate thumbprints as configured. */
async function signAssertion(
  client: OAuthClient,
  lifetimeSeconds: number,
  claims: Readonly<Record<string, string>>,
): Promise<string> {
  const key = privateKey(client)
  const issuedAt = Math.floor(Date.now() / 1000)
  const keyId = configText(client, 'key_id')
  return new SignJWT({ ...claims, jti: uuidv4() })
    .setProtectedHeader({
      alg: algorithmOf(key),
      typ: 'JWT',
      ...(keyId === null ? {} : { kid: keyId }),
      ...thumbprints(configText(client, 'certificate')),
    })
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(key)
}

function secretText({ secrets }: OAuthClient, name: string): string {
  const value = secrets[name]
  if (typeof value !== 'string' || value === '') throw new ClientMisconfigured(`${name} is not stored`)
  return value
}

function privateKey(client: OAuthClient): KeyObject {
  try {
    return createPrivateKey(secretText(client, 'private_key'))
  } catch {
    throw new ClientMisconfigured('private_key cannot be read')
  }
}

const curveAlgorithms: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  const algorithm = curveAlgorithms[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (algorithm === undefined) throw new ClientMisconfigured('private_key is of no supported kind')
  return algorithm
}

function thumbprints(certificate: string | null): Record<string, string> {
  if (certificate === null) return {}
  let der: Buffer
  try {
    der = new X509Certificate(certificate).raw
  } catch {
    throw new ClientMisconfigured('certificate cannot be read')
  }
  return {
    x5t: createHash('sha1').update(der).digest('base64url'),
    'x5t#S256': createHash('sha256').update(der).digest('base64url'),
  }
}
