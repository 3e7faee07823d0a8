/** What role audit alone reads. */

import { httpUrl, integer, text, type Variable } from '../kinds.ts'

export const auditVariables = {
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
