/**
 * Every environment variable of the server, once: name, kind, default, bounds,
 * who reads it and one line of what it does. `Settings` is inferred from this
 * table and the reference in the documentation is generated from it
 * (storage-and-operations §10).
 */

import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  boolean,
  choice,
  countOrAuto,
  duration,
  hmacKey,
  hosts,
  httpUrl,
  integer,
  issuerUrl,
  kek,
  type Mode,
  optionalDuration,
  type Situation,
  smtpUrl,
  storeUrl,
  text,
  type Variable,
} from './kinds.ts'
import type { RoleName } from './roles.ts'
import { secretBackends } from './secret-backends.ts'

const published = (situation: Situation): boolean => situation.mode !== 'dev'
const has = (situation: Situation, ...roles: readonly RoleName[]): boolean =>
  roles.some((role) => situation.roles.includes(role))

/** URL of a role: known when it runs here or in dev, required otherwise. */
const roleUrl =
  (role: RoleName) =>
  (situation: Situation): string | null =>
    has(situation, role) || situation.mode === 'dev' ? `http://localhost:${situation.port(role)}` : null

const gatewayUrl = (situation: Situation): string | null => {
  const url = roleUrl('gateway')(situation)
  return url !== null && situation.singlePort !== null ? `${url}/gateway` : url
}

const postgresUrl = ['postgres', 'postgresql'] as const
const port = (role: RoleName, doc: string, fallback: number): Variable<number> => {
  const name = `${role.toUpperCase()}_PORT`
  return integer({
    default: (situation) => situation.port(role),
    shown: String(fallback),
    min: 0,
    max: 65_535,
    aliases: [`CARACAL_${name}`],
    doc,
  })
}

export const variables = {
  // Common
  CARACAL_MODE: choice(['dev', 'rc', 'stable'] as const, {
    default: (situation): Mode => situation.mode,
    shown: 'dev with the embedded store, else stable',
    doc: 'Rules of operation: `dev` generates secrets and migrates, `rc` and `stable` refuse anything unsafe.',
  }),
  CARACAL_ROLE: text({
    default: 'all',
    doc: '`all`, or a comma list of sts, gateway, coordinator, audit, control; as `--role`.',
  }),
  CARACAL_WORKERS: countOrAuto({
    default: 1,
    min: 1,
    max: 256,
    doc: 'Processes that share the ports, each with all roles and pools of its own; `auto` is one for each core; as `--workers`.',
  }),
  CARACAL_AUDIT_THREAD: choice(['auto', 'on', 'off'] as const, {
    default: 'auto',
    doc: 'Whether role audit, beside others in one process, has a thread of its own; `auto`: with more than one core.',
  }),
  DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    shown: 'embedded Postgres (dev only)',
    required: published,
    doc: 'The Postgres (15 or newer) that holds all state.',
  }),
  CONTROL_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    roles: ['control'],
    doc: 'Overrides `DATABASE_URL` for role control.',
  }),
  STS_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    roles: ['sts'],
    doc: 'Overrides `DATABASE_URL` for role sts.',
  }),
  GATEWAY_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    roles: ['gateway'],
    doc: 'Overrides `DATABASE_URL` for role gateway.',
  }),
  AUDIT_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    roles: ['audit'],
    doc: 'Overrides `DATABASE_URL` for role audit.',
  }),
  COORDINATOR_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    roles: ['coordinator'],
    doc: 'Overrides `DATABASE_URL` for role coordinator.',
  }),
  MIGRATION_DATABASE_URL: storeUrl(postgresUrl, {
    secret: true,
    doc: 'Overrides `DATABASE_URL` for `caracal migrate`: the owner of the tables.',
  }),
  MIGRATION_CONNECT_RETRIES: integer({
    default: 30,
    min: 0,
    doc: 'How often `caracal migrate` tries to connect.',
  }),
  MIGRATION_CONNECT_SLEEP_SECONDS: integer({
    default: 1,
    min: 0,
    doc: 'Pause between two tries of `caracal migrate`.',
  }),
  SCHEMA_WAIT_MS: duration({
    default: 30_000,
    bare: true,
    min: 0,
    doc: 'How long a process waits at start for the schema it needs.',
  }),
  REDIS_URL: storeUrl(['redis', 'rediss'], {
    secret: true,
    shown: 'unset: Postgres carries events and markers',
    doc: 'Redis for the event bus and short-lived facts. Every process of a deployment must agree.',
  }),
  CARACAL_DATA_DIR: text({
    default: (situation) => situation.dataDir,
    shown: '.caracal',
    doc: 'Embedded store, generated secrets and the dev replay journal.',
  }),
  CARACAL_HOME: text({
    doc: 'Operator home: `caracal.env` and secrets. Default by platform, such as `~/.local/share/caracal`.',
  }),
  CARACAL_SECRETS_DIR: text({
    doc: 'Where generated secrets are kept. Default `<CARACAL_DATA_DIR>/secrets` with the embedded store, else below `CARACAL_HOME`.',
  }),
  CARACAL_DEV_SECRETS_DIR: text({ doc: 'As `CARACAL_SECRETS_DIR`, for dev mode with an external database.' }),
  CARACAL_DB_ALLOW_BYPASSRLS: boolean({
    default: false,
    doc: 'Accept a superuser or BYPASSRLS database role in rc and stable.',
  }),
  HOST: text({
    default: (situation) => (situation.mode === 'dev' ? '127.0.0.1' : '0.0.0.0'),
    shown: '127.0.0.1 in dev, else 0.0.0.0',
    doc: 'Bind address of every listener.',
  }),
  PORT: integer({ min: 0, max: 65_535, doc: 'Port when exactly one role runs.' }),
  CARACAL_SINGLE_PORT: integer({
    min: 0,
    max: 65_535,
    doc: 'One port for all roles of the process instead of one each; the gateway is below `/gateway`.',
  }),
  CONTROL_PORT: port('control', 'Port of role control.', 3000),
  CONSOLE_PORT: integer({
    default: 3001,
    min: 0,
    max: 65_535,
    roles: ['control'],
    aliases: ['CARACAL_CONSOLE_PORT'],
    doc: 'Port of the console (role control), which has what the management port has too.',
  }),
  COORDINATOR_PORT: port('coordinator', 'Port of role coordinator.', 4000),
  STS_PORT: port('sts', 'Port of role sts.', 8080),
  GATEWAY_PORT: port('gateway', 'Port of role gateway.', 8081),
  AUDIT_PORT: port('audit', 'Port of role audit.', 9090),
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const, {
    default: 'info',
    fallback: 'info',
    aliases: ['CARACAL_LOG_LEVEL'],
    aliasFirst: true,
    doc: 'Lowest level that is logged; `CARACAL_LOG_LEVEL` wins when both are set.',
  }),
  CARACAL_ENV: text({
    default: 'development',
    aliases: ['NODE_ENV'],
    doc: 'The field `env` of every log line.',
  }),
  CARACAL_VERSION: text({ doc: 'The field `version` of every log line. Default: the build.' }),
  CARACAL_LOG_MAX_FIELD_BYTES: integer({
    default: 8192,
    min: -1,
    doc: 'Longer log fields are cut; 0 or less keeps them whole.',
  }),
  CARACAL_LOG_SAMPLE_DEBUG: integer({ default: 1, min: 1, doc: 'Keep one of N debug lines.' }),
  DB_POOL_MAX: integer({
    default: 20,
    min: 1,
    max: 1000,
    aliases: ['DB_MAX_CONNS'],
    doc: 'Connections of a process to its database.',
  }),
  DB_STATEMENT_TIMEOUT_MS: duration({
    default: (situation) => (has(situation, 'control') ? 15_000 : 10_000),
    shown: '15000 with role control, else 10000',
    bare: true,
    doc: 'Longest statement.',
  }),
  DB_IDLE_IN_TX_TIMEOUT_MS: duration({
    default: 30_000,
    bare: true,
    doc: 'Longest pause inside a transaction.',
  }),
  DB_CONNECTION_TIMEOUT_MS: duration({
    default: 5000,
    bare: true,
    aliases: ['DB_CONNECT_TIMEOUT'],
    doc: 'Longest wait for a new database connection.',
  }),
  DB_IDLE_TIMEOUT_MS: duration({
    default: 30_000,
    bare: true,
    doc: 'An idle database connection is closed after this.',
  }),
  REDIS_DIAL_TIMEOUT: duration({ default: 5000, doc: 'Longest wait for a new Redis connection.' }),
  REDIS_READ_TIMEOUT: duration({ default: 3000, doc: 'Longest wait for an answer of Redis.' }),
  REDIS_WRITE_TIMEOUT: duration({ default: 3000, doc: 'Longest wait to hand a command to Redis.' }),
  AUDIT_HMAC_KEY: hmacKey({
    required: (s) => published(s) && has(s, 'sts', 'gateway', 'audit'),
    doc: 'Signs audit events and the chain; at least 32 bytes hex.',
  }),
  AUDIT_HMAC_KEY_PREVIOUS: hmacKey({ doc: 'Also accepted while the key is rotated.' }),
  STREAMS_HMAC_KEY: hmacKey({
    roles: ['sts', 'gateway', 'coordinator', 'control'],
    required: published,
    doc: 'Signs events on the bus; at least 32 bytes hex.',
  }),
  STREAMS_HMAC_KEY_PREVIOUS: hmacKey({
    roles: ['sts', 'gateway', 'coordinator', 'control'],
    doc: 'Also accepted while the key is rotated.',
  }),
  GATEWAY_STS_HMAC_KEY: hmacKey({
    roles: ['sts', 'gateway', 'control'],
    required: (s) => published(s) && has(s, 'sts', 'gateway'),
    doc: 'Signs exchanges between gateway and sts; at least 32 bytes hex.',
  }),
  GATEWAY_STS_HMAC_KEY_PREVIOUS: hmacKey({
    roles: ['sts', 'gateway', 'control'],
    doc: 'Also accepted by sts while the key is rotated.',
  }),
  METRICS_BEARER: text({
    secret: true,
    doc: 'Bearer token of `/metrics`. Unset: open in dev, closed otherwise.',
  }),
  SHUTDOWN_GRACE_MS: duration({
    default: 15_000,
    bare: true,
    doc: 'Whole budget of a shutdown, and patience with dependencies at start.',
  }),
  REQUEST_TIMEOUT_MS: duration({
    default: 30_000,
    bare: true,
    roles: ['control', 'coordinator'],
    doc: 'Longest request.',
  }),
  KEEP_ALIVE_TIMEOUT_MS: duration({
    default: 75_000,
    bare: true,
    doc: 'Keep-alive of idle connections; longer than the idle timeout of a load balancer.',
  }),
  TRUST_PROXY: boolean({
    default: false,
    aliases: ['CARACAL_GATEWAY_TRUST_PROXY', 'CARACAL_AUTH_TRUST_PROXY'],
    doc: 'Honour X-Forwarded-For and X-Forwarded-Proto.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl({ doc: 'OTLP over HTTP for traces.' }),
  OTEL_EXPORTER_OTLP_PROTOCOL: choice(['http/protobuf', 'http/json'] as const, {
    default: 'http/protobuf',
    doc: 'Encoding of exported traces.',
  }),
  OTEL_RESOURCE_ATTRIBUTES: text({ doc: 'Further resource attributes, `k=v,…`.' }),
  OTEL_SERVICE_NAME: text({ doc: 'Overrides `caracal-<role>`.' }),
  STREAMS_MAXLEN: integer({
    default: 100_000,
    min: 1,
    aliases: ['OUTBOX_STREAM_MAXLEN'],
    doc: 'Approximate length of a stream; never applied to audit streams.',
  }),
  READY_RATE_LIMIT_PER_MIN: integer({
    default: 120,
    min: 0,
    doc: '`/ready` requests per address and minute; 0 is no limit.',
  }),
  WORKER_ID: text({
    default: () => `${hostname()}:${process.pid}`,
    shown: '<host name>:<pid>',
    doc: 'Owner of outbox leases. Default `<HOSTNAME or role>:<pid>`.',
  }),
  INSECURE_STS: boolean({ default: false, doc: 'Refused in rc and stable.' }),
  INSECURE_HTTP: boolean({ default: false, doc: 'Refused in rc and stable.' }),

  // Shared by several roles
  STS_URL: httpUrl({
    roles: ['coordinator', 'gateway', 'control'],
    default: roleUrl('sts'),
    shown: 'localhost when sts runs here or in dev',
    required: (s) => !has(s, 'sts') && published(s),
    doc: 'Base URL of role sts.',
  }),
  ISSUER_URL: issuerUrl({
    roles: ['sts', 'coordinator', 'gateway', 'control'],
    default: (s) => (s.mode === 'dev' ? `http://localhost:${s.port('sts')}` : null),
    shown: 'http://localhost:<sts port> in dev',
    required: (s) => has(s, 'sts', 'coordinator') && published(s),
    doc: '`iss` of every mandate and audience of sessions; compared byte for byte.',
  }),
  CARACAL_ADMIN_TOKEN: text({
    secret: true,
    roles: ['control', 'gateway'],
    doc: 'Seeds the first administrator token; also opens the reload route of the gateway.',
  }),
  SECRET_STORE_KEK: kek({
    roles: ['sts', 'control'],
    required: () => true,
    doc: 'Key encryption key of the secret store: exactly 32 bytes hex.',
  }),
  SECRET_STORE_KEK_PREVIOUS: kek({
    roles: ['sts', 'control'],
    doc: 'Opens what was sealed before a rotation.',
  }),
  CARACAL_SECRET_BACKEND: choice(secretBackends, {
    default: 'builtin',
    roles: ['sts', 'control'],
    doc: 'Where sealed secrets are kept.',
  }),
  CARACAL_VAULT_ADDR: httpUrl({ roles: ['sts', 'control'], doc: 'Address of Vault.' }),
  CARACAL_VAULT_TOKEN: text({ secret: true, roles: ['sts', 'control'], doc: 'Token for Vault.' }),
  CARACAL_VAULT_MOUNT: text({ default: 'secret', roles: ['sts', 'control'], doc: 'KV v2 mount of Vault.' }),
  CARACAL_VAULT_NAMESPACE: text({ roles: ['sts', 'control'], doc: 'Namespace of Vault.' }),
  CARACAL_INFISICAL_URL: httpUrl({
    roles: ['sts', 'control'],
    default: 'https://app.infisical.com',
    doc: 'Address of Infisical.',
  }),
  CARACAL_INFISICAL_TOKEN: text({ secret: true, roles: ['sts', 'control'], doc: 'Token for Infisical.' }),
  CARACAL_INFISICAL_PROJECT_ID: text({ roles: ['sts', 'control'], doc: 'Project of Infisical.' }),
  CARACAL_INFISICAL_ENV: text({
    default: 'prod',
    roles: ['sts', 'control'],
    doc: 'Environment of Infisical.',
  }),
  CARACAL_INFISICAL_PATH: text({ default: '/', roles: ['sts', 'control'], doc: 'Folder of Infisical.' }),
  CARACAL_AZURE_VAULT_URL: httpUrl({ roles: ['sts', 'control'], doc: 'Address of the Azure key vault.' }),
  CARACAL_AZURE_TENANT_ID: text({
    roles: ['sts', 'control'],
    doc: 'Azure tenant; managed identity without a client secret.',
  }),
  CARACAL_AZURE_CLIENT_ID: text({ roles: ['sts', 'control'], doc: 'Azure client.' }),
  CARACAL_AZURE_CLIENT_SECRET: text({ secret: true, roles: ['sts', 'control'], doc: 'Azure client secret.' }),
  CARACAL_AWS_REGION: text({
    aliases: ['AWS_REGION'],
    roles: ['sts', 'control'],
    doc: 'Region of AWS Secrets Manager.',
  }),
  CARACAL_GCP_PROJECT: text({ roles: ['sts', 'control'], doc: 'Project of Google Secret Manager.' }),
  CARACAL_GCP_CREDENTIALS_FILE: text({
    aliases: ['GOOGLE_APPLICATION_CREDENTIALS'],
    roles: ['sts', 'control'],
    doc: 'Service account file; metadata server without one.',
  }),
  CARACAL_CUSTOM_SECRETS_URL: httpUrl({
    roles: ['sts', 'control'],
    doc: 'Address of a custom secret backend.',
  }),
  CARACAL_CUSTOM_SECRETS_TOKEN: text({
    secret: true,
    roles: ['sts', 'control'],
    doc: 'Bearer for a custom secret backend.',
  }),
  CARACAL_PRIVATE_EGRESS_HOSTS: hosts({
    roles: ['sts', 'control', 'gateway'],
    doc: 'Private hosts that provider and issuer calls may reach.',
  }),
  CARACAL_TLS_EXTRA_CA_FILE: text({
    roles: ['sts', 'control', 'gateway'],
    doc: 'Further certificate authorities for outgoing TLS.',
  }),
  CONTROL_AUDIENCE: text({
    default: 'caracal-control',
    roles: ['sts', 'control'],
    doc: 'Audience of Control tokens.',
  }),
  AUDIT_REPLAY_DIR: text({
    roles: ['sts', 'gateway'],
    default: (s) => (s.mode === 'dev' ? join(s.dataDir, 'audit-replay') : '/var/lib/caracal/audit-replay'),
    shown: '/var/lib/caracal/audit-replay (dev: below CARACAL_DATA_DIR)',
    doc: 'Journal of audit events that the bus did not take.',
  }),
  AUDIT_RETENTION_DAYS: integer({
    default: 365,
    min: 1,
    roles: ['audit', 'control'],
    doc: 'Audit partitions are dropped after this; also the ceiling of what operators may set.',
  }),
  STS_MINT_RATE_LIMIT_PER_MIN: integer({
    default: 1000,
    min: 1,
    roles: ['sts', 'control'],
    doc: 'Mints per application, resource and minute; also the ceiling of what operators may set.',
  }),
  MAX_GRANT_TTL_SECONDS: integer({
    default: 3600,
    min: 1,
    roles: ['sts', 'control', 'gateway'],
    doc: 'Longest life of a cached provider token.',
  }),
  OUTBOX_INTERVAL_MS: duration({
    default: 1000,
    bare: true,
    min: 1,
    aliases: ['OUTBOX_POLL_MS'],
    roles: ['coordinator', 'control'],
    doc: 'Interval of the outbox publisher.',
  }),
  OUTBOX_BATCH_SIZE: integer({
    default: 50,
    min: 1,
    roles: ['coordinator', 'control'],
    doc: 'Rows of one publish.',
  }),
  OUTBOX_MAX_ATTEMPTS: integer({
    default: 10,
    min: 1,
    roles: ['coordinator', 'control'],
    doc: 'After this many failures a row is dead.',
  }),
  OUTBOX_LOCK_SEC: integer({
    default: 30,
    min: 5,
    roles: ['coordinator', 'control'],
    doc: 'Lease of a claimed batch.',
  }),
  OUTBOX_RETENTION_DAYS: integer({
    default: 7,
    min: 1,
    roles: ['coordinator', 'control'],
    doc: 'Published rows are deleted after this.',
  }),

  // coordinator
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

  // control
  CARACAL_GATEWAY_URL: httpUrl({
    roles: ['control'],
    default: gatewayUrl,
    shown: 'localhost when gateway runs here or in dev',
    required: (s) => !has(s, 'gateway') && published(s),
    doc: 'Base URL of role gateway as clients see it.',
  }),
  CARACAL_COORDINATOR_URL: httpUrl({
    roles: ['control'],
    default: roleUrl('coordinator'),
    shown: 'localhost when coordinator runs here or in dev',
    required: (s) => !has(s, 'coordinator') && published(s),
    doc: 'Base URL of role coordinator.',
  }),
  CARACAL_WEB_URL: httpUrl({
    roles: ['control'],
    default: (s) => `http://localhost:${s.consolePort}`,
    shown: 'http://localhost:<console port>',
    doc: 'Public URL of the console.',
  }),
  CARACAL_WEB_ORIGIN: httpUrl({ roles: ['control'], doc: 'Origin the console accepts besides its own URL.' }),
  CARACAL_OPEN_REGISTRATION: boolean({
    default: (s) => s.mode === 'dev',
    shown: 'true only in dev',
    roles: ['control'],
    doc: 'Console accounts may be registered by anybody.',
  }),
  CARACAL_PASSWORD_SIGNUP: boolean({
    default: true,
    roles: ['control'],
    doc: 'Console accounts may have a password.',
  }),
  CARACAL_REQUIRE_SIGN_IN_METHOD: boolean({
    default: false,
    roles: ['control'],
    doc: 'Refuse to start unless people can sign in with an account of their own.',
  }),
  GOOGLE_CLIENT_ID: text({
    roles: ['control'],
    doc: 'Sign-in to the console with Google: the client id. Register `<CARACAL_WEB_URL>/api/auth/callback/google`.',
  }),
  GOOGLE_CLIENT_SECRET: text({ secret: true, roles: ['control'], doc: 'Secret of GOOGLE_CLIENT_ID.' }),
  GITHUB_CLIENT_ID: text({
    roles: ['control'],
    doc: 'Sign-in to the console with GitHub: the client id. Register `<CARACAL_WEB_URL>/api/auth/callback/github`.',
  }),
  GITHUB_CLIENT_SECRET: text({ secret: true, roles: ['control'], doc: 'Secret of GITHUB_CLIENT_ID.' }),
  CARACAL_SMTP_URL: smtpUrl({
    secret: true,
    roles: ['control'],
    doc: 'Mail server, `smtps://user:password@host`, for links that verify an address or set a new password.',
  }),
  CARACAL_SMTP_FROM: text({ roles: ['control'], doc: 'Sender of mail. Required with CARACAL_SMTP_URL.' }),
  CARACAL_OPERATOR_ALLOWLIST: hosts({
    roles: ['control'],
    doc: 'E-mail addresses or @domains that may sign in to the console.',
  }),
  API_BODY_LIMIT_BYTES: integer({ default: 1_048_576, min: 1024, roles: ['control'], doc: 'Largest body.' }),
  API_V1_RATE_LIMIT_PER_MIN: integer({
    default: 600,
    min: 0,
    roles: ['control'],
    doc: 'Requests per address and per actor; 0 is no limit.',
  }),
  ADMIN_AUTH_FAIL_LIMIT_PER_MIN: integer({
    default: 60,
    min: 1,
    roles: ['control'],
    doc: 'Failed authentications per address.',
  }),
  ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC: integer({
    default: 60,
    min: 0,
    roles: ['control'],
    doc: 'How often the last use of a token is written.',
  }),
  API_MAX_RESOURCES_PER_ZONE: integer({
    default: 100_000,
    min: 0,
    roles: ['control'],
    doc: 'Resources of a zone; 0 is no limit.',
  }),
  API_READY_OUTBOX_DEAD_MAX: integer({
    default: 0,
    min: 0,
    roles: ['control'],
    doc: 'More dead outbox rows make control not ready.',
  }),
  API_ENABLE_DOCS: boolean({
    default: (s) => s.mode === 'dev',
    shown: 'true only in dev',
    roles: ['control'],
    doc: 'Serve the HTML page `/docs`.',
  }),
  CARACAL_CONTROL_ENABLED: boolean({ default: false, roles: ['control'], doc: 'Turn Control invoke on.' }),
  STS_ISSUER_URL: issuerUrl({ roles: ['control'], doc: 'Issuer of Control tokens. Default `ISSUER_URL`.' }),
  STS_JWKS_URL: httpUrl({ roles: ['control'], doc: 'Keys of Control tokens. Default below `STS_URL`.' }),
  CONTROL_API_TOKEN: text({ secret: true, roles: ['control'], doc: 'Accepted and ignored.' }),
  API_READ_TOKEN_MAY_REVEAL: boolean({
    default: false,
    roles: ['control'],
    doc: 'Read tokens may reveal custody copies.',
  }),
  API_WRITE_TOKEN_MAY_MINT_APPROVE: boolean({
    default: false,
    roles: ['control'],
    doc: 'Write tokens may mint approve tokens.',
  }),
  CARACAL_BOOTSTRAP_USERNAME: text({
    roles: ['control'],
    doc: 'First service account, made only when there is none.',
  }),
  CARACAL_BOOTSTRAP_PASSWORD: text({ secret: true, roles: ['control'], doc: 'Its password.' }),
  CONTROL_RATE_CAPACITY: integer({
    default: 60,
    min: 1,
    roles: ['control'],
    doc: 'Control invokes per window.',
  }),
  CONTROL_RATE_WINDOW_SEC: integer({ default: 60, min: 1, roles: ['control'], doc: 'That window.' }),
  CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN: integer({
    default: 120,
    min: 0,
    roles: ['control'],
    doc: 'Control invokes per address; 0 is no limit.',
  }),
  CONTROL_REPLAY_TTL_SEC: integer({
    default: 3600,
    min: 1,
    max: 3600,
    roles: ['control'],
    doc: 'Longest memory of a Control token.',
  }),
  CONTROL_GATE_FILE: text({
    roles: ['control'],
    doc: 'Control invoke is open while this file exists; the console makes and removes it. Unset: closed.',
  }),

  // sts
  STS_JWKS_REQUIRE_ZONE: boolean({
    default: false,
    roles: ['sts'],
    doc: 'JWKS without `zone_id` answers 400.',
  }),
  OPA_POLL_SECONDS: integer({
    default: 60,
    min: 1,
    max: 300,
    roles: ['sts'],
    doc: 'Interval of the policy poll.',
  }),
  STS_SECRET_VERIFY_CONCURRENCY: integer({
    default: 2,
    min: 1,
    max: 64,
    roles: ['sts', 'control', 'coordinator', 'audit'],
    doc: 'Password derivations at once.',
  }),
  STS_ADMIN_TOKEN: text({
    secret: true,
    roles: ['sts', 'control'],
    doc: 'Opens the key rotation route; unset hides it.',
  }),
  SIGNING_KEY_PUBLISH_AHEAD_SECONDS: integer({
    default: 600,
    min: 0,
    roles: ['sts'],
    doc: 'A rotated signing key is published this long before it signs.',
  }),

  // gateway
  STS_TIMEOUT: duration({ default: 5000, roles: ['gateway'], doc: 'Longest exchange.' }),
  UPSTREAM_TIMEOUT: duration({
    default: 30_000,
    roles: ['gateway'],
    doc: 'Longest wait for the first byte of an upstream.',
  }),
  READ_TIMEOUT: duration({
    default: 45_000,
    roles: ['gateway'],
    doc: 'Longest request; must exceed STS_TIMEOUT + UPSTREAM_TIMEOUT.',
  }),
  READ_HEADER_TIMEOUT: duration({
    default: 5000,
    roles: ['gateway'],
    doc: 'Longest wait for request headers.',
  }),
  WRITE_TIMEOUT: duration({
    default: 60_000,
    roles: ['gateway'],
    doc: 'Longest write that is not a stream.',
  }),
  STREAM_IDLE_TIMEOUT: duration({
    default: 60_000,
    min: 0,
    roles: ['gateway'],
    aliases: ['CARACAL_GATEWAY_STREAM_IDLE_TIMEOUT'],
    doc: 'A stream that is silent for this long is cut; 0 is never.',
  }),
  GATEWAY_RATE_LIMIT_PER_IP_PER_MIN: integer({
    default: 0,
    min: 0,
    roles: ['gateway'],
    doc: 'Requests per client address and minute in one gateway process before anything costly is done; 0 is no limit.',
  }),
  GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN: integer({
    default: 0,
    min: 0,
    roles: ['gateway'],
    doc: 'Requests per application and minute in one gateway process before anything costly is done; 0 is no limit.',
  }),
  GATEWAY_MAX_REQUESTS_IN_FLIGHT: integer({
    default: 10_000,
    min: 0,
    roles: ['gateway'],
    doc: 'Requests and streams under way at once in one gateway process; more are answered 503 before anything costly is done. 0 is no limit.',
  }),
  GATEWAY_MAX_CONNECTIONS: integer({
    default: 20_000,
    min: 0,
    roles: ['gateway'],
    doc: 'Connections of callers held at once by one gateway process, idle ones included; more are closed. 0 is no limit. Each needs a file descriptor, a call under way two.',
  }),
  UPSTREAM_MAX_CONNECTIONS: integer({
    default: 200,
    min: 1,
    roles: ['gateway'],
    doc: 'Connections of one gateway process to one upstream host; a stream holds one as long as it runs. As many calls may wait for one, up to UPSTREAM_TIMEOUT, before 503.',
  }),
  IDLE_TIMEOUT: duration({
    default: 120_000,
    roles: ['gateway'],
    doc: 'Keep-alive of idle connections at the gateway.',
  }),
  MAX_REQUEST_BYTES: integer({
    default: 10_485_760,
    min: 1,
    roles: ['gateway'],
    doc: 'Largest request body.',
  }),
  UPSTREAM_HOST_ALLOWLIST: hosts({
    roles: ['gateway'],
    doc: 'Only these upstream hosts; empty allows what operators provision.',
  }),
  JTI_FAIL_OPEN: boolean({
    default: false,
    roles: ['gateway'],
    doc: 'Let requests pass without replay memory; dev only.',
  }),
  GATEWAY_STS_TRANSPORT: choice(['auto', 'inproc', 'http'] as const, {
    default: 'auto',
    roles: ['gateway'],
    doc: 'How the gateway asks the sts; `auto` is in process when both run here.',
  }),
  UPSTREAM_BLOCK_PRIVATE: boolean({
    default: false,
    roles: ['gateway'],
    doc: 'Refuse private upstream addresses.',
  }),
  STREAM_MAX_DURATION: optionalDuration({ roles: ['gateway'], doc: 'Longest stream.' }),
  REVOCATION_STORE_WRITER: boolean({
    default: false,
    roles: ['gateway'],
    doc: 'Keep the shared revocation store of resource servers (Redis).',
  }),
  TLS_CERT_FILE: text({
    roles: ['gateway'],
    doc: 'Certificate of the gateway listener; needs TLS_KEY_FILE.',
  }),
  TLS_KEY_FILE: text({ roles: ['gateway'], doc: 'Key of the gateway listener; needs TLS_CERT_FILE.' }),

  // audit
  AUDIT_ADMIN_TOKEN: text({
    secret: true,
    roles: ['audit'],
    doc: 'Opens operator routes; unset hides them.',
  }),
  AUDIT_MAX_DELIVERIES: integer({
    default: 8,
    min: 1,
    roles: ['audit'],
    doc: 'Deliveries before an event is a dead letter.',
  }),
  AUDIT_CLAIM_IDLE_SECS: integer({
    default: 30,
    min: 1,
    roles: ['audit'],
    doc: 'Idle time after which an entry is taken over.',
  }),
  AUDIT_TAMPER_ROLLING_HOURS: integer({
    default: 4,
    min: 1,
    roles: ['audit'],
    doc: 'Window of the rolling tamper sweep.',
  }),
  AUDIT_READY_DLQ_MAX: integer({
    default: 0,
    min: 0,
    roles: ['audit'],
    doc: 'More dead letters make audit not ready; 0 is off.',
  }),
  AUDIT_READY_LAG_MAX: integer({
    default: 0,
    min: 0,
    roles: ['audit'],
    doc: 'More lag makes audit not ready; 0 is off.',
  }),
  AUDIT_READY_PEL_OLDEST_SECS_MAX: integer({
    default: 0,
    min: 0,
    roles: ['audit'],
    doc: 'An older pending entry makes audit not ready; 0 is off.',
  }),
  AUDIT_STREAM_MAXLEN: integer({
    default: 1_000_000,
    min: 1,
    roles: ['audit'],
    doc: 'Length to which the acknowledged part of the audit stream is trimmed.',
  }),
  AUDIT_EXPORT_DIR: text({
    roles: ['audit'],
    doc: 'Directory of the hourly archive; unset is off.',
  }),
  AUDIT_EXPORT_S3_ENDPOINT: httpUrl({ roles: ['audit'], doc: 'Object store for exports.' }),
  AUDIT_EXPORT_S3_BUCKET: text({ roles: ['audit'], doc: 'Bucket for exports; unset is off.' }),
  AUDIT_EXPORT_S3_REGION: text({ default: 'us-east-1', roles: ['audit'], doc: 'Region of the bucket.' }),
  AUDIT_EXPORT_TMP_DIR: text({
    roles: ['audit'],
    doc: 'Scratch directory of exports. Default that of the system.',
  }),
  AWS_ACCESS_KEY_ID: text({ roles: ['audit'], doc: 'Static credentials of the object store.' }),
  AWS_SECRET_ACCESS_KEY: text({
    secret: true,
    roles: ['audit'],
    doc: 'Static credentials of the object store.',
  }),
  AWS_SESSION_TOKEN: text({
    secret: true,
    roles: ['audit'],
    doc: 'Session of temporary static credentials.',
  }),
  AWS_CONTAINER_CREDENTIALS_FULL_URI: text({
    roles: ['audit'],
    doc: 'Where the container platform hands out credentials of the object store.',
  }),
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: text({
    roles: ['audit'],
    doc: 'The same on the link-local address of the platform.',
  }),
  AWS_CONTAINER_AUTHORIZATION_TOKEN: text({
    secret: true,
    roles: ['audit'],
    doc: 'Sent to the credentials address.',
  }),
  AUDIT_CONSUMER_NAME: text({
    roles: ['audit'],
    doc: 'Consumer name of the ingestor, of its own for each process. Default `<host name>:<pid>`; at start a process takes over what one of its host that is gone had in hand.',
  }),
} satisfies Readonly<Record<string, Variable<unknown>>>

type VariableName = keyof typeof variables

/** Every variable with its effective value: flat, durations in milliseconds, unset optional ones `null`. */
export type Settings = {
  readonly [Name in VariableName]: (typeof variables)[Name] extends Variable<infer Value> ? Value : never
}

/** One row of the generated reference. */
export interface DocumentedVariable {
  readonly name: string
  readonly kind: string
  readonly default: string
  readonly secret: boolean
  readonly roles: readonly string[]
  readonly aliases: readonly string[]
  readonly doc: string
}

/** The table as documentation: in declaration order. */
export function documentVariables(): DocumentedVariable[] {
  return Object.entries(variables as Readonly<Record<string, Variable<unknown>>>).map(([name, variable]) => ({
    name,
    kind: variable.kind,
    default: variable.shown,
    secret: variable.secret,
    roles: variable.roles ?? ['all'],
    aliases: variable.aliases,
    doc: variable.doc,
  }))
}
