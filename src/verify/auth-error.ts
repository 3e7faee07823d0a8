/** Why a mandate is not accepted, and how that looks over HTTP (sdk-cli-console §9.2). */

export type AuthErrorCode =
  | 'missing_token'
  | 'invalid_token'
  | 'invalid_zone'
  | 'session_revoked'
  | 'delegation_stale'
  | 'insufficient_scope'
  | 'session_required'
  | 'delegation_required'
  | 'chain_mismatch'
  | 'hop_count_exceeded'

export interface AuthError {
  readonly code: AuthErrorCode
  readonly description: string
  readonly hint?: string | undefined
  /** What went wrong here, for the log of the service; never part of an answer. */
  readonly cause?: unknown
}

const codes: Readonly<
  Record<AuthErrorCode, { readonly status: 401 | 403; readonly description: string; readonly hint?: string }>
> = {
  missing_token: { status: 401, description: 'Missing bearer token' },
  invalid_token: {
    status: 401,
    description: 'Token validation failed',
    hint: 'Send an unexpired resource mandate of this issuer for this audience',
  },
  invalid_zone: {
    status: 401,
    description: 'Token zone validation failed',
    hint: 'The mandate belongs to another zone than this service',
  },
  session_revoked: { status: 401, description: 'Session revoked', hint: 'Start a new session' },
  delegation_stale: {
    status: 401,
    description: 'Delegation graph changed',
    hint: 'Get a new mandate: authority was revoked in this zone since this one was issued',
  },
  insufficient_scope: { status: 403, description: 'Missing scope', hint: 'Ask for the scope when minting' },
  session_required: {
    status: 403,
    description: 'Session required',
    hint: 'Call from inside a governed session',
  },
  delegation_required: {
    status: 403,
    description: 'Delegation required',
    hint: 'Call under a delegation',
  },
  chain_mismatch: {
    status: 403,
    description: 'Delegation chain missing application',
    hint: 'The delegation must pass through the required application',
  },
  hop_count_exceeded: {
    status: 403,
    description: 'Hop count exceeded',
    hint: 'Delegate over fewer hops',
  },
}

/** An error with the code's own description and hint unless others are given. */
export function authError(code: AuthErrorCode, description: string = codes[code].description): AuthError {
  return { code, description, hint: codes[code].hint }
}

export function httpStatusForAuthError(code: AuthErrorCode): 401 | 403 {
  return codes[code].status
}

export interface AuthErrorBody {
  readonly error: AuthErrorCode
  readonly error_description: string
  readonly error_hint?: string
}

export function authErrorBody(error: AuthError): AuthErrorBody {
  return {
    error: error.code,
    error_description: error.description,
    ...(error.hint === undefined ? {} : { error_hint: error.hint }),
  }
}

/** RFC 6750 §3: what a 401 asks for; empty for a 403. */
export function challengeHeaders(error: AuthError): Record<string, string> {
  return httpStatusForAuthError(error.code) === 401
    ? { 'www-authenticate': `Bearer error="${error.code}"` }
    : {}
}
