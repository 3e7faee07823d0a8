/** What every process reads, whatever its roles: mode, stores, ports, logs, keys between the roles. */

import { hostname } from 'node:os'
import {
  boolean,
  choice,
  countOrAuto,
  duration,
  hmacKey,
  httpUrl,
  integer,
  type Mode,
  storeUrl,
  text,
  type Variable,
} from '../kinds.ts'
import type { RoleName } from '../roles.ts'
import { has, published } from './situations.ts'

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

export const processVariables = {
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
} satisfies Readonly<Record<string, Variable<unknown>>>
