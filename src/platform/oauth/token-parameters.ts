/**
 * Members of a token request that are the client's own (RFC 6749, RFC 7521, RFC 7636): what an
 * operator adds to a provider's requests must not set them.
 */
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
