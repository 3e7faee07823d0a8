/** What a 401 asks for (RFC 9110 §15.5.2, RFC 6750 §3): the code only where a token was given and refused. */
export const challengeTo = (authorization: string | undefined, realm: string): string =>
  /^bearer +\S/i.test(authorization ?? '')
    ? `Bearer realm="${realm}", error="invalid_token"`
    : `Bearer realm="${realm}"`
