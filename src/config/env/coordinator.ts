/** What role coordinator alone reads. */

import { choice, duration, hmacKey, integer, text, type Variable } from '../kinds.ts'
import { has, published } from './situations.ts'

export const coordinatorVariables = {
  AGENT_COORDINATOR_SCOPE: text({
    roles: ['coordinator', 'sts', 'control'],
    default: (s) => (s.mode === 'dev' ? 'agent:lifecycle' : null),
    shown: 'agent:lifecycle in dev',
    required: (s) => has(s, 'coordinator') && published(s),
    doc: 'Scope that every bearer at the coordinator needs.',
  }),
  CARACAL_COORDINATOR_TOKEN: text({
    secret: true,
    roles: ['coordinator', 'control'],
    doc: 'Operator token of the coordinator.',
  }),
  IDEMPOTENCY_HMAC_KEY: hmacKey({
    roles: ['coordinator'],
    required: published,
    doc: 'Digests idempotency keys; at least 32 bytes hex.',
  }),
  IDEMPOTENCY_HMAC_KEY_PREVIOUS: hmacKey({
    roles: ['coordinator'],
    doc: "Also asked while the key is rotated; keep it for the receipts' retention.",
  }),
  TTL_SWEEP_INTERVAL_MS: duration({
    default: 60_000,
    bare: true,
    roles: ['coordinator'],
    doc: 'Interval of the TTL sweeper.',
  }),
  DEADLINE_SWEEP_INTERVAL_MS: duration({
    default: 5000,
    bare: true,
    roles: ['coordinator'],
    doc: 'Interval of the deadline enforcer.',
  }),
  SERVICE_LEASE_SWEEP_INTERVAL_MS: duration({
    default: 30_000,
    bare: true,
    roles: ['coordinator'],
    doc: 'Interval of the service lease sweeper.',
  }),
  SERVICE_AGENT_LEASE_SECONDS: integer({
    default: 120,
    min: 1,
    roles: ['coordinator'],
    doc: 'How far a heartbeat moves the deadline.',
  }),
  SWEEPER_BATCH_SIZE: integer({ default: 500, min: 1, roles: ['coordinator'], doc: 'Rows of one sweep.' }),
  RETENTION_CLEANUP_INTERVAL_MS: duration({
    default: 900_000,
    bare: true,
    roles: ['coordinator'],
    doc: 'Interval of the retention cleaner.',
  }),
  RETENTION_CLEANUP_BATCH_SIZE: integer({
    default: 500,
    min: 1,
    roles: ['coordinator'],
    doc: 'Rows per category and transaction.',
  }),
  DELEGATION_RETENTION_DAYS: integer({
    default: 90,
    min: 1,
    roles: ['coordinator'],
    doc: 'Ended delegations are deleted after this.',
  }),
  SESSION_RETENTION_DAYS: integer({
    default: 90,
    min: 1,
    roles: ['coordinator'],
    doc: 'Ended sessions are deleted after this.',
  }),
  INVOCATION_RETENTION_DAYS: integer({
    default: 90,
    min: 1,
    roles: ['coordinator'],
    doc: 'Ended invocations are deleted after this; a key used again is a new invocation then.',
  }),
  JWKS_CACHE_MAX: integer({
    default: 256,
    min: 1,
    roles: ['coordinator'],
    doc: 'Zones whose keys are cached.',
  }),
  MAX_AGENTS_PER_ZONE: integer({
    default: 50,
    min: 1,
    roles: ['coordinator'],
    doc: 'Live agent sessions of a zone.',
  }),
  MAX_AGENTS_PER_APP: integer({
    default: 200,
    min: 1,
    roles: ['coordinator'],
    doc: 'Live agent sessions of an application.',
  }),
  MAX_AGENT_DEPTH: integer({ default: 10, min: 1, roles: ['coordinator'], doc: 'Deepest agent session.' }),
  MAX_AGENT_CHILDREN: integer({
    default: 10,
    min: 1,
    roles: ['coordinator'],
    doc: 'Children of an agent session.',
  }),
  DELEGATION_DEFAULT_TTL_SECONDS: integer({
    default: 3600,
    min: 1,
    roles: ['coordinator'],
    doc: 'Life of a delegation that names none.',
  }),
  COORDINATOR_SUBJECT_PROOF: choice(['required', 'if_present'] as const, {
    default: 'required',
    roles: ['coordinator'],
    doc: 'Whether a subject must be proven.',
  }),
  IDEMPOTENCY_RETENTION_SECONDS: integer({
    default: 604_800,
    min: 3600,
    roles: ['coordinator'],
    doc: "Life of receipts under a caller's key.",
  }),
  GENERATED_IDEMPOTENCY_RETENTION_SECONDS: integer({
    default: 86_400,
    min: 3600,
    roles: ['coordinator'],
    doc: "Life of receipts under an SDK's key.",
  }),
  IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE: integer({
    default: 10_000,
    min: 100,
    roles: ['coordinator'],
    doc: 'More live receipts answer 429.',
  }),
  COORDINATOR_BODY_LIMIT_BYTES: integer({
    default: 262_144,
    min: 1024,
    roles: ['coordinator'],
    doc: 'Largest body.',
  }),
  COORDINATOR_RATE_LIMIT_PER_MIN: integer({
    default: 600,
    min: 0,
    roles: ['coordinator'],
    doc: 'Requests per address; 0 is no limit.',
  }),
  INVOCATION_RATE_LIMIT_PER_MIN: integer({
    default: 120,
    min: 0,
    roles: ['coordinator'],
    doc: 'Invocations per client and zone; 0 is no limit.',
  }),
  VERIFY_RATE_LIMIT_PER_MIN: integer({
    default: 60,
    min: 0,
    roles: ['coordinator'],
    doc: 'Verifications per address; 0 is no limit.',
  }),
  RELAY_INTERVAL_MS: duration({
    default: 1000,
    bare: true,
    roles: ['coordinator'],
    doc: 'Interval of the lifecycle relay.',
  }),
  RELAY_CLAIM_IDLE_SEC: integer({
    default: 60,
    min: 1,
    roles: ['coordinator'],
    doc: 'Idle time after which a relay entry is taken over.',
  }),
  RELAY_DEDUPE_WINDOW_SEC: integer({
    default: 3600,
    min: 1,
    roles: ['coordinator'],
    doc: 'Memory of relayed entries.',
  }),
  RELAY_CONSUMER_NAME: text({
    roles: ['coordinator'],
    doc: 'Consumer name of the relay. Default the host name.',
  }),
} satisfies Readonly<Record<string, Variable<unknown>>>
