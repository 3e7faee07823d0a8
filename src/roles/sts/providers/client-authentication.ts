/** How a provider's client proves itself to its token endpoint (sts §10.4, gateway §25.2). */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { SignJWT } from 'jose'
import { uuidv4 } from '../../../platform/ids.ts'
import type { ProviderDefinition } from '../definitions.ts'
import type { SecretDocument } from '../directive.ts'
import { configText, misconfigured } from './provider-config.ts'

export interface ClientAuthentication {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
}

const assertionLifetimeSeconds = 60
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export async function clientAuthentication(
  provider: ProviderDefinition,
  secrets: SecretDocument,
  endpoint: string,
): Promise<ClientAuthentication> {
  const clientId = configText(provider, 'client_id')
  if (clientId === null) throw misconfigured('client_id is missing')
  const fallback = provider.config.grant_type === 'jwt_bearer' ? 'none' : 'client_secret_basic'
  switch (configText(provider, 'client_auth_method') ?? fallback) {
    case 'client_secret_basic': {
      const credential = Buffer.from(`${clientId}:${secretText(secrets, 'client_secret')}`, 'utf8')
      return { headers: { authorization: `Basic ${credential.toString('base64')}` }, form: {} }
    }
    case 'client_secret_post':
      return {
        headers: {},
        form: { client_id: clientId, client_secret: secretText(secrets, 'client_secret') },
      }
    case 'private_key_jwt':
      return {
        headers: {},
        form: {
          client_id: clientId,
          client_assertion_type: assertionType,
          client_assertion: await signAssertion(provider, secrets, assertionLifetimeSeconds, {
            iss: clientId,
            sub: clientId,
            aud: endpoint,
          }),
        },
      }
    case 'none':
      return { headers: {}, form: { client_id: clientId } }
    default:
      throw misconfigured('client_auth_method is not supported')
  }
}

/** A JWT under the provider's private key; `kid` and certificate thumbprints as configured. */
export async function signAssertion(
  provider: ProviderDefinition,
  secrets: SecretDocument,
  lifetimeSeconds: number,
  claims: Readonly<Record<string, string>>,
): Promise<string> {
  const key = privateKey(secrets)
  const issuedAt = Math.floor(Date.now() / 1000)
  const keyId = configText(provider, 'key_id')
  return new SignJWT({ ...claims, jti: uuidv4() })
    .setProtectedHeader({
      alg: algorithmOf(key),
      typ: 'JWT',
      ...(keyId === null ? {} : { kid: keyId }),
      ...thumbprints(configText(provider, 'certificate')),
    })
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(key)
}

function secretText(secrets: SecretDocument, name: string): string {
  const value = secrets[name]
  if (typeof value !== 'string' || value === '') throw misconfigured(`${name} is not stored`)
  return value
}

function privateKey(secrets: SecretDocument): KeyObject {
  try {
    return createPrivateKey(secretText(secrets, 'private_key'))
  } catch {
    throw misconfigured('private_key cannot be read')
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
  if (algorithm === undefined) throw misconfigured('private_key is of no supported kind')
  return algorithm
}

function thumbprints(certificate: string | null): Record<string, string> {
  if (certificate === null) return {}
  let der: Buffer
  try {
    der = new X509Certificate(certificate).raw
  } catch {
    throw misconfigured('certificate cannot be read')
  }
  return {
    x5t: createHash('sha1').update(der).digest('base64url'),
    'x5t#S256': createHash('sha256').update(der).digest('base64url'),
  }
}
