/** What role gateway alone reads. */

import { boolean, choice, duration, hosts, integer, optionalDuration, text, type Variable } from '../kinds.ts'

export const gatewayVariables = {
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
    doc: 'Certificate of the gateway listener; needs TLS_KEY_FILE. Both are read again every minute.',
  }),
  TLS_KEY_FILE: text({ roles: ['gateway'], doc: 'Key of the gateway listener; needs TLS_CERT_FILE.' }),
} satisfies Readonly<Record<string, Variable<unknown>>>
