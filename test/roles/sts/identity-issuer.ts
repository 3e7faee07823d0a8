/** An external identity issuer: its key set over https, its trusted row in a zone, its id_tokens. */
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Queryable } from '../../../src/platform/db/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createTlsServer, type TlsServer } from '../../fixtures/tls-server.ts'

export interface IdentityIssuer extends AsyncDisposable {
  readonly name: string
  readonly audience: string
  readonly server: TlsServer
  readonly privateKey: CryptoKey
  trust(db: Pick<Queryable, 'sql'>, zoneId: string, jwksUrl?: string): Promise<string>
  /** An id_token that is right in every respect but the overrides. */
  idToken(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>
}

export async function createIdentityIssuer(): Promise<IdentityIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'idp-1', alg: 'ES256', use: 'sig' }
  const server = await createTlsServer(() => ({ body: { keys: [jwk] } }))
  const name = 'https://idp.test.example/'
  const audience = 'my-product'
  return {
    name,
    audience,
    server,
    privateKey,
    async trust(db, zoneId, jwksUrl = `${server.url('idp')}/jwks`) {
      const id = uuidv7()
      await db.sql`
        insert into subject_issuers (id, zone_id, issuer, jwks_url, audience)
        values (${id}, ${zoneId}, ${name}, ${jwksUrl}, ${audience})`
      return id
    },
    idToken: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      return new SignJWT({ iss: name, aud: audience, sub: 'auth0|507f', iat: now, exp: now + 300, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'idp-1', ...header })
        .sign(privateKey)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
