/** What role control alone reads, with the console and Control invoke. */

import {
  boolean,
  hosts,
  httpUrl,
  integer,
  issuerUrl,
  type Situation,
  smtpUrl,
  text,
  type Variable,
} from '../kinds.ts'
import { has, published, roleUrl } from './situations.ts'

const gatewayUrl = (situation: Situation): string | null => {
  const url = roleUrl('gateway')(situation)
  return url !== null && situation.singlePort !== null ? `${url}/gateway` : url
}

export const controlVariables = {
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
  AUTHORITY_RECORD_RETENTION_DAYS: integer({
    default: 90,
    min: 1,
    roles: ['control'],
    doc: 'Authority records are deleted this long after they ran out, unless an agent session rests on them.',
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
} satisfies Readonly<Record<string, Variable<unknown>>>
