/** For anything that speaks `Request` and `Response`. */
import { type AuthError, authErrorBody, challengeHeaders, httpStatusForAuthError } from './auth-error.ts'
import type { Requirements } from './claims.ts'
import {
  type AuthResult,
  createMandateVerifier,
  type MandateVerifier,
  type VerifierOptions,
} from './mandate-verifier.ts'

export type VerifierSource = VerifierOptions | { readonly verifier: MandateVerifier }

/** A verifier from what an adapter was given. */
export function verifierOf(source: VerifierSource): MandateVerifier {
  return 'verifier' in source ? source.verifier : createMandateVerifier(source)
}

/** Pass a verifier that lives as long as the service: options alone make a new key cache each time. */
export function authenticateRequest(
  request: Pick<Request, 'headers'>,
  source: VerifierSource,
  overrides?: Requirements,
): Promise<AuthResult> {
  return verifierOf(source).authorization(request.headers.get('authorization'), overrides)
}

export function unauthorizedResponse(error: AuthError): Response {
  return new Response(JSON.stringify(authErrorBody(error)), {
    status: httpStatusForAuthError(error.code),
    headers: { 'content-type': 'application/json', ...challengeHeaders(error) },
  })
}
