/** `caracal/verify`: what a service needs that checks mandates itself. */
export { extractBearer } from '../sdk/envelope.ts'
export {
  type AuthError,
  type AuthErrorBody,
  type AuthErrorCode,
  authErrorBody,
  httpStatusForAuthError,
} from './auth-error.ts'
export {
  type ChainHop,
  ChainMismatchError,
  type Claims,
  DelegationRequiredError,
  HopCountExceededError,
  type Requirements,
  ScopeInsufficientError,
  SessionRequiredError,
  TokenInvalidError,
  type VerifyOptions,
  verify,
  ZoneInvalidError,
} from './claims.ts'
export { authenticateRequest, unauthorizedResponse, type VerifierSource } from './fetch-standard.ts'
export { createJwksCache, type JwksCache, type JwksCacheOptions } from './jwks-cache.ts'
export {
  type AuthResult,
  checkActiveAuthority,
  createMandateVerifier,
  type MandateVerifier,
  type VerifierOptions,
} from './mandate-verifier.ts'
export { InMemoryRevocationStore, type RevocationStore } from './revocation-store.ts'
