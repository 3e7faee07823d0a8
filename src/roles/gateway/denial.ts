/**
 * Every answer the gateway gives on its own, wire-exact (gateway §4). A check
 * returns one of these or nothing; `pipeline.ts` renders it in one place.
 */
import type { Counters } from './counters.ts'

export interface Denial {
  readonly status: number
  readonly code: string
  readonly description: string
  readonly counter?: keyof Counters
  readonly headers?: Readonly<Record<string, string>>
  /** Further public members of the error body. */
  readonly body?: Readonly<Record<string, unknown>>
}

const deny = (status: number, code: string, description: string, counter?: keyof Counters): Denial =>
  counter === undefined ? { status, code, description } : { status, code, description, counter }

export const denials = {
  revocationStale: deny(503, 'sts_unavailable', 'revocation state unavailable', 'denials_revocation_stale'),
  missingBearer: deny(401, 'invalid_token', 'missing bearer token', 'denials_missing_auth'),
  bearerTooLarge: deny(401, 'invalid_token', 'bearer token too large', 'denials_bad_bearer'),
  malformedBearer: deny(401, 'invalid_token', 'malformed bearer token', 'denials_bad_bearer'),
  expiring: deny(
    401,
    'credential_expired_not_renewable',
    'credential expiring within pre-flight window',
    'denials_expiring',
  ),
  clientIdHeader: deny(
    400,
    'invalid_token',
    'client identity derives from the bearer token',
    'denials_bad_routing',
  ),
  missingResource: deny(400, 'invalid_token', 'missing routing headers', 'denials_bad_routing'),
  missingZone: deny(401, 'invalid_token', 'missing token zone', 'denials_bad_routing'),
  missingClient: deny(401, 'invalid_token', 'missing token client', 'denials_bad_routing'),
  pathTraversal: deny(400, 'invalid_token', 'path traversal not permitted', 'denials_path_traversal'),
  signature: deny(401, 'invalid_token', 'bearer signature invalid', 'denials_signature'),
  keysUnavailable: deny(503, 'sts_unavailable', 'sts unavailable', 'denials_signature'),
  wrongUse: deny(401, 'invalid_token', 'invalid subject_token', 'denials_bad_bearer'),
  replayed: deny(401, 'invalid_token', 'token replay detected', 'denials_jti_replay'),
  predatesMemory: deny(401, 'invalid_token', 'mandate predates replay memory', 'denials_jti_replay'),
  replayUnavailable: deny(503, 'sts_unavailable', 'replay protection unavailable'),
  revoked: deny(401, 'invalid_token', 'session revoked', 'denials_revoked'),
  bodyTooLarge: deny(413, 'payload_too_large', 'request body too large'),
  stsUnavailable: deny(503, 'sts_unavailable', 'sts unavailable'),
  stsTimeout: deny(504, 'sts_unavailable', 'sts timeout'),
  stsTransport: deny(502, 'sts_unavailable', 'sts unavailable'),
  stsInvalidAnswer: deny(502, 'sts_unavailable', 'sts response invalid'),
  stsCancelled: deny(499, 'sts_unavailable', 'client cancelled'),
  noDirective: deny(403, 'access_denied', 'resource upstream not configured'),
  notAddressable: deny(502, 'internal_error', 'upstream not addressable'),
  credentialHost: deny(502, 'internal_error', 'provider credential not allowed for upstream host'),
  buildFailed: deny(400, 'internal_error', 'upstream request build failed'),
  upstreamTimeout: deny(504, 'internal_error', 'upstream timeout'),
  upstreamCancelled: deny(499, 'internal_error', 'client cancelled'),
  upstreamBusy: {
    ...deny(503, 'internal_error', 'upstream busy; the limit is UPSTREAM_MAX_CONNECTIONS'),
    headers: { 'Retry-After': '1' },
  },
  tooManyRequests: {
    ...deny(
      503,
      'rate_limited',
      'too many requests under way; the limit is GATEWAY_MAX_REQUESTS_IN_FLIGHT',
      'denials_overloaded',
    ),
    headers: { 'Retry-After': '1' },
  },
  upstreamUnreachable: deny(502, 'internal_error', 'upstream unreachable'),
  internal: deny(500, 'internal_error', ''),
} as const
