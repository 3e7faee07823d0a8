/** What several roles read, and not all. */

import { join } from 'node:path'
import { choice, duration, hosts, httpUrl, integer, issuerUrl, kek, text, type Variable } from '../kinds.ts'
import { secretBackends } from '../secret-backends.ts'
import { has, published, roleUrl } from './situations.ts'

export const sharedVariables = {
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
} satisfies Readonly<Record<string, Variable<unknown>>>
