/** Authorization server metadata (RFC 8414): what a client must know to use this role. */
import { accessTokenType, idTokenType, tokenExchangeGrant } from '../exchange-state.ts'

export function serverMetadata(issuer: string) {
  const base = issuer.replace(/\/$/, '')
  return {
    issuer,
    token_endpoint: `${base}/oauth/2/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    jwks_uri: `${base}/.well-known/jwks.json`,
    introspection_endpoint: `${base}/oauth/2/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_post'],
    revocation_endpoint: `${base}/oauth/2/revoke`,
    revocation_endpoint_auth_methods_supported: ['client_secret_post'],
    grant_types_supported: [tokenExchangeGrant],
    subject_token_types_supported: [accessTokenType, idTokenType],
    response_types_supported: [],
  }
}
