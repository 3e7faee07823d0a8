/** Tables owned by the control role (storage-and-operations §3.1, §3.5). */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import {
  attribution,
  bytea,
  createdAt,
  jsonb,
  textArray,
  timestamps,
  timestamptz,
  updatedAt,
} from './columns.ts'

export const zones = pgTable(
  'zones',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    slug: text('slug').notNull(),
    dcrEnabled: boolean('dcr_enabled').notNull().default(false),
    operatorCoauthorBadge: boolean('operator_coauthor_badge').notNull().default(true),
    operatorGoverned: boolean('operator_governed').notNull().default(false),
    ownerAccountId: text('owner_account_id'),
    ...timestamps(),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
  },
  (t) => [
    unique('zones_slug_key').on(t.slug),
    index('zones_keyset_idx').on(t.createdAt.desc(), t.id.desc()).where(sql`${t.archivedAt} is null`),
    index('zones_active_idx').on(t.id).where(sql`${t.archivedAt} is null`),
    index('zones_owner_account_id_idx').on(t.ownerAccountId).where(sql`${t.ownerAccountId} is not null`),
  ],
)

export const applications = pgTable(
  'applications',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    registrationMethod: text('registration_method', { enum: ['managed', 'dcr'] }).notNull(),
    credentialType: text('credential_type', { enum: ['token'] })
      .notNull()
      .default('token'),
    clientSecretHash: text('client_secret_hash'),
    traits: textArray('traits'),
    expiresAt: timestamptz('expires_at'),
    archivedAt: timestamptz('archived_at'),
    createdAt: createdAt(),
    updatedAt: timestamptz('updated_at'),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'applications_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    unique('applications_zone_id_id_key').on(t.zoneId, t.id),
    index('applications_zone_id_idx').on(t.zoneId),
    index('applications_zone_id_expires_at_idx')
      .on(t.zoneId, t.expiresAt)
      .where(sql`${t.expiresAt} is not null`),
    index('applications_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
    index('applications_archived_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is not null`),
    check('applications_registration_method_check', sql`${t.registrationMethod} in ('managed', 'dcr')`),
    check('applications_credential_type_check', sql`${t.credentialType} = 'token'`),
    check(
      'applications_dcr_expires_check',
      sql`${t.registrationMethod} <> 'dcr' or ${t.expiresAt} is not null`,
    ),
  ],
)

export const workloads = pgTable(
  'workloads',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    secretHash: text('secret_hash').notNull(),
    bindings: jsonb('bindings').notNull().default(sql`'[]'::jsonb`),
    createdAt: createdAt(),
    updatedAt: timestamptz('updated_at'),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'workloads_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }).onDelete(
      'cascade',
    ),
    index('workloads_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
  ],
)

export const providers = pgTable(
  'providers',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    identifier: text('identifier').notNull(),
    providerKind: text('provider_kind', {
      enum: [
        'none',
        'caracal_mandate',
        'oauth2_authorization_code',
        'oauth2_client_credentials',
        'api_key',
        'bearer_token',
        'http_basic',
      ],
    }).notNull(),
    configJson: jsonb('config_json').notNull().default(sql`'{}'::jsonb`),
    secretConfigKeys: textArray('secret_config_keys'),
    connectivityFailedAt: timestamptz('connectivity_failed_at'),
    ...timestamps(),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'providers_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    unique('providers_zone_id_id_key').on(t.zoneId, t.id),
    uniqueIndex('providers_zone_id_identifier_key')
      .on(t.zoneId, t.identifier)
      .where(sql`${t.archivedAt} is null`),
    index('providers_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
    index('providers_archived_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is not null`),
    index('providers_active_idx').on(t.id).where(sql`${t.archivedAt} is null`),
    check(
      'providers_provider_kind_check',
      sql`${t.providerKind} in ('none', 'caracal_mandate', 'oauth2_authorization_code', 'oauth2_client_credentials', 'api_key', 'bearer_token', 'http_basic')`,
    ),
  ],
)

export const resources = pgTable(
  'resources',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    identifier: text('identifier').notNull(),
    upstreamUrl: text('upstream_url'),
    credentialProviderId: text('credential_provider_id').notNull(),
    scopes: textArray('scopes'),
    operations: jsonb('operations').notNull().default(sql`'[]'::jsonb`),
    operationEnforcement: text('operation_enforcement', { enum: ['enforced', 'transport_uniform'] })
      .notNull()
      .default('transport_uniform'),
    ...timestamps(),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'resources_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'resources_credential_provider_fkey',
      columns: [t.zoneId, t.credentialProviderId],
      foreignColumns: [providers.zoneId, providers.id],
    }),
    unique('resources_zone_id_id_key').on(t.zoneId, t.id),
    uniqueIndex('resources_zone_id_identifier_key')
      .on(t.zoneId, t.identifier)
      .where(sql`${t.archivedAt} is null`),
    index('resources_credential_provider_id_idx').on(t.credentialProviderId),
    index('resources_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
    index('resources_archived_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is not null`),
    index('resources_active_idx').on(t.id).where(sql`${t.archivedAt} is null`),
    check(
      'resources_operation_enforcement_check',
      sql`${t.operationEnforcement} in ('enforced', 'transport_uniform')`,
    ),
  ],
)

export const policies = pgTable(
  'policies',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    description: text('description'),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
    createdBy: text('created_by').notNull(),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'policies_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    unique('policies_zone_id_id_key').on(t.zoneId, t.id),
    uniqueIndex('policies_zone_id_name_key').on(t.zoneId, t.name).where(sql`${t.archivedAt} is null`),
    index('policies_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
  ],
)

/** Immutable: a trigger refuses update and delete. */
export const policyVersions = pgTable(
  'policy_versions',
  {
    id: text('id').primaryKey(),
    policyId: text('policy_id').notNull(),
    version: integer('version').notNull(),
    content: text('content').notNull(),
    contentSha256: text('content_sha256').notNull(),
    schemaVersion: text('schema_version').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
    archivedAt: timestamptz('archived_at'),
    createdViaOperator: boolean('created_via_operator').notNull().default(false),
  },
  (t) => [
    foreignKey({
      name: 'policy_versions_policy_id_fkey',
      columns: [t.policyId],
      foreignColumns: [policies.id],
    }),
    unique('policy_versions_policy_id_version_key').on(t.policyId, t.version),
    index('policy_versions_policy_id_created_at_idx').on(t.policyId, t.createdAt.desc()),
  ],
)

export const policySets = pgTable(
  'policy_sets',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    description: text('description'),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
    createdBy: text('created_by').notNull(),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'policy_sets_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    unique('policy_sets_zone_id_id_key').on(t.zoneId, t.id),
    uniqueIndex('policy_sets_zone_id_name_key').on(t.zoneId, t.name).where(sql`${t.archivedAt} is null`),
    index('policy_sets_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
  ],
)

/** Immutable: a trigger refuses update and delete. */
export const policySetVersions = pgTable(
  'policy_set_versions',
  {
    id: text('id').primaryKey(),
    policySetId: text('policy_set_id').notNull(),
    version: integer('version').notNull(),
    manifestJson: jsonb('manifest_json').notNull(),
    manifestSha256: text('manifest_sha256').notNull(),
    schemaVersion: text('schema_version').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
    archivedAt: timestamptz('archived_at'),
    createdViaOperator: boolean('created_via_operator').notNull().default(false),
  },
  (t) => [
    foreignKey({
      name: 'policy_set_versions_policy_set_id_fkey',
      columns: [t.policySetId],
      foreignColumns: [policySets.id],
    }),
    unique('policy_set_versions_policy_set_id_version_key').on(t.policySetId, t.version),
    unique('policy_set_versions_policy_set_id_id_key').on(t.policySetId, t.id),
  ],
)

export const policySetBindings = pgTable(
  'policy_set_bindings',
  {
    zoneId: text('zone_id').notNull(),
    policySetId: text('policy_set_id').notNull(),
    activeVersionId: text('active_version_id'),
    updatedAt: updatedAt(),
  },
  (t) => [
    primaryKey({ name: 'policy_set_bindings_pkey', columns: [t.zoneId, t.policySetId] }),
    foreignKey({ name: 'policy_set_bindings_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'policy_set_bindings_policy_set_fkey',
      columns: [t.zoneId, t.policySetId],
      foreignColumns: [policySets.zoneId, policySets.id],
    }),
    foreignKey({
      name: 'policy_set_bindings_active_version_fkey',
      columns: [t.policySetId, t.activeVersionId],
      foreignColumns: [policySetVersions.policySetId, policySetVersions.id],
    }),
    uniqueIndex('policy_set_bindings_active_key').on(t.zoneId).where(sql`${t.activeVersionId} is not null`),
  ],
)

export const delegatedGrants = pgTable(
  'delegated_grants',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    applicationId: text('application_id'),
    userId: text('user_id').notNull(),
    resourceId: text('resource_id').notNull(),
    scopes: text('scopes').array().notNull(),
    status: text('status', { enum: ['active', 'revoked', 'expired'] })
      .notNull()
      .default('active'),
    ...timestamps(),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'delegated_grants_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'delegated_grants_application_fkey',
      columns: [t.zoneId, t.applicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }),
    foreignKey({
      name: 'delegated_grants_resource_fkey',
      columns: [t.zoneId, t.resourceId],
      foreignColumns: [resources.zoneId, resources.id],
    }),
    index('delegated_grants_user_keyset_idx').on(t.zoneId, t.userId, t.createdAt.desc(), t.id.desc()),
    index('delegated_grants_application_keyset_idx').on(
      t.zoneId,
      t.applicationId,
      t.createdAt.desc(),
      t.id.desc(),
    ),
    index('delegated_grants_resource_keyset_idx').on(t.zoneId, t.resourceId, t.createdAt.desc(), t.id.desc()),
    index('delegated_grants_status_keyset_idx').on(t.zoneId, t.status, t.createdAt.desc(), t.id.desc()),
    index('delegated_grants_zone_id_user_id_resource_id_status_idx').on(
      t.zoneId,
      t.userId,
      t.resourceId,
      t.status,
    ),
    index('delegated_grants_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    check('delegated_grants_status_check', sql`${t.status} in ('active', 'revoked', 'expired')`),
  ],
)

export const providerConnections = pgTable(
  'provider_connections',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    subjectId: text('subject_id').notNull(),
    providerId: text('provider_id').notNull(),
    status: text('status', { enum: ['active', 'revoked', 'expired'] })
      .notNull()
      .default('active'),
    accessTokenCt: bytea('access_token_ct'),
    refreshTokenCt: bytea('refresh_token_ct'),
    expiresAt: timestamptz('expires_at'),
    refreshedAt: timestamptz('refreshed_at'),
    /** Optimistic lock of a refresh. */
    refreshTokenVersion: integer('refresh_token_version').notNull().default(0),
    ...timestamps(),
  },
  (t) => [
    foreignKey({
      name: 'provider_connections_provider_fkey',
      columns: [t.zoneId, t.providerId],
      foreignColumns: [providers.zoneId, providers.id],
    }),
    uniqueIndex('provider_connections_active_key')
      .on(t.zoneId, t.subjectId, t.providerId)
      .where(sql`${t.status} = 'active'`),
    index('provider_connections_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    index('provider_connections_provider_id_status_idx').on(t.zoneId, t.providerId, t.status),
    index('provider_connections_subject_id_status_idx').on(t.zoneId, t.subjectId, t.status),
    check('provider_connections_status_check', sql`${t.status} in ('active', 'revoked', 'expired')`),
  ],
)

export const subjectIssuers = pgTable(
  'subject_issuers',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    issuer: text('issuer').notNull(),
    jwksUrl: text('jwks_url').notNull(),
    audience: text('audience').notNull(),
    ...timestamps(),
    archivedAt: timestamptz('archived_at'),
    ...attribution(),
  },
  (t) => [
    foreignKey({ name: 'subject_issuers_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    uniqueIndex('subject_issuers_zone_id_issuer_key')
      .on(t.zoneId, t.issuer)
      .where(sql`${t.archivedAt} is null`),
    index('subject_issuers_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.archivedAt} is null`),
  ],
)

export const secretStore = pgTable(
  'secret_store',
  {
    ref: text('ref').primaryKey(),
    zoneId: text('zone_id').notNull(),
    envelope: bytea('envelope').notNull(),
    version: integer('version').notNull().default(1),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'secret_store_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    index('secret_store_zone_id_idx').on(t.zoneId),
  ],
)

export const adminTokens = pgTable(
  'admin_tokens',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    tokenLookup: bytea('token_lookup').notNull(),
    tokenHash: text('token_hash'),
    scope: text('scope', { enum: ['global', 'zone'] }).notNull(),
    zoneId: text('zone_id'),
    capability: text('capability', { enum: ['read', 'write', 'approve'] })
      .notNull()
      .default('write'),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
    lastUsedAt: timestamptz('last_used_at'),
    revokedAt: timestamptz('revoked_at'),
  },
  (t) => [
    foreignKey({
      name: 'admin_tokens_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    uniqueIndex('admin_tokens_token_lookup_key').on(t.tokenLookup).where(sql`${t.revokedAt} is null`),
    index('admin_tokens_keyset_idx').on(t.createdAt.desc(), t.id.desc()),
    index('admin_tokens_zone_id_idx').on(t.zoneId).where(sql`${t.revokedAt} is null and ${t.scope} = 'zone'`),
    check('admin_tokens_scope_check', sql`${t.scope} in ('global', 'zone')`),
    check('admin_tokens_capability_check', sql`${t.capability} in ('read', 'write', 'approve')`),
    check('admin_tokens_scope_zone_check', sql`(${t.scope} = 'global') = (${t.zoneId} is null)`),
  ],
)

/** Append-only: triggers refuse update, delete and truncate. No reference to zones: evidence outlives a zone. */
export const adminAuditEvents = pgTable(
  'admin_audit_events',
  {
    id: text('id').primaryKey(),
    requestId: text('request_id').notNull(),
    actorId: text('actor_id'),
    actorName: text('actor_name'),
    actorScope: text('actor_scope'),
    action: text('action').notNull(),
    method: text('method').notNull(),
    path: text('path').notNull(),
    zoneId: text('zone_id'),
    entityType: text('entity_type'),
    entityId: text('entity_id'),
    statusCode: integer('status_code').notNull(),
    payloadJson: jsonb('payload_json'),
    occurredAt: timestamptz('occurred_at').notNull().defaultNow(),
    contentSha256: text('content_sha256'),
    prevContentSha256: text('prev_content_sha256'),
    chainHmac: text('chain_hmac'),
    chainSeq: bigint('chain_seq', { mode: 'number' }),
  },
  (t) => [
    index('admin_audit_events_actor_id_occurred_at_idx')
      .on(t.actorId, t.occurredAt.desc())
      .where(sql`${t.actorId} is not null`),
    index('admin_audit_events_zone_id_chain_seq_idx').on(t.zoneId, t.chainSeq.desc()),
    index('admin_audit_events_request_id_idx').on(t.requestId),
    index('admin_audit_events_keyset_idx').on(t.zoneId, t.occurredAt.desc(), t.id.desc()),
    index('admin_audit_events_entity_keyset_idx')
      .on(t.zoneId, t.entityId, t.occurredAt.desc(), t.id.desc())
      .where(sql`${t.entityId} is not null`),
  ],
)

export const auditRetention = pgTable(
  'audit_retention',
  {
    singleton: boolean('singleton').primaryKey().default(true),
    retentionDays: integer('retention_days').notNull(),
    updatedAt: updatedAt(),
    updatedBy: text('updated_by'),
  },
  (t) => [
    check('audit_retention_singleton_check', sql`${t.singleton}`),
    check('audit_retention_retention_days_check', sql`${t.retentionDays} >= 1`),
  ],
)

export const stsRateLimit = pgTable(
  'sts_rate_limit',
  {
    singleton: boolean('singleton').primaryKey().default(true),
    limitPerMinute: integer('limit_per_minute').notNull(),
    updatedAt: updatedAt(),
    updatedBy: text('updated_by'),
  },
  (t) => [
    check('sts_rate_limit_singleton_check', sql`${t.singleton}`),
    check('sts_rate_limit_limit_per_minute_check', sql`${t.limitPerMinute} >= 1`),
  ],
)

export const notificationSinks = pgTable(
  'notification_sinks',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    url: text('url').notNull(),
    secretCt: bytea('secret_ct').notNull(),
    eventTypes: text('event_types').array().notNull(),
    active: boolean('active').notNull().default(true),
    cursorChainSeq: bigint('cursor_chain_seq', { mode: 'number' }).notNull().default(0),
    consecutiveFailures: integer('consecutive_failures').notNull().default(0),
    lastSuccessAt: timestamptz('last_success_at'),
    lastFailureAt: timestamptz('last_failure_at'),
    lastError: text('last_error'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({
      name: 'notification_sinks_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    unique('notification_sinks_zone_id_id_key').on(t.zoneId, t.id),
    index('notification_sinks_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    check('notification_sinks_event_types_check', sql`cardinality(${t.eventTypes}) > 0`),
  ],
)

export const notificationDeliveries = pgTable(
  'notification_deliveries',
  {
    id: text('id').primaryKey(),
    sinkId: text('sink_id').notNull(),
    zoneId: text('zone_id').notNull(),
    eventId: text('event_id').notNull(),
    eventType: text('event_type').notNull(),
    payloadJson: jsonb('payload_json').notNull(),
    attempts: integer('attempts').notNull().default(0),
    availableAt: timestamptz('available_at').notNull().defaultNow(),
    deliveredAt: timestamptz('delivered_at'),
    abandonedAt: timestamptz('abandoned_at'),
    responseStatus: integer('response_status'),
    lastError: text('last_error'),
    createdAt: createdAt(),
  },
  (t) => [
    foreignKey({
      name: 'notification_deliveries_sink_fkey',
      columns: [t.zoneId, t.sinkId],
      foreignColumns: [notificationSinks.zoneId, notificationSinks.id],
    }).onDelete('cascade'),
    unique('notification_deliveries_sink_id_event_id_key').on(t.sinkId, t.eventId),
    index('notification_deliveries_due_idx')
      .on(t.availableAt)
      .where(sql`${t.deliveredAt} is null and ${t.abandonedAt} is null`),
    index('notification_deliveries_settled_idx')
      .on(t.createdAt)
      .where(sql`${t.deliveredAt} is not null or ${t.abandonedAt} is not null`),
    index('notification_deliveries_sink_id_keyset_idx').on(t.sinkId, t.createdAt.desc(), t.id.desc()),
  ],
)

export const serviceAccounts = pgTable(
  'service_accounts',
  {
    id: text('id').primaryKey(),
    /** Null: deployment-wide. */
    zoneId: text('zone_id'),
    username: text('username').notNull(),
    displayName: text('display_name'),
    passwordHash: text('password_hash').notNull(),
    tokenVersion: integer('token_version').notNull().default(0),
    status: text('status', { enum: ['active', 'inactive'] })
      .notNull()
      .default('active'),
    lastLoginAt: timestamptz('last_login_at'),
    passwordChangedAt: timestamptz('password_changed_at').notNull().defaultNow(),
    createdBy: text('created_by').notNull(),
    updatedBy: text('updated_by'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({
      name: 'service_accounts_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    unique('service_accounts_username_key').on(t.username),
    index('service_accounts_status_keyset_idx').on(t.zoneId, t.status, t.createdAt.desc(), t.id.desc()),
    index('service_accounts_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    check('service_accounts_status_check', sql`${t.status} in ('active', 'inactive')`),
  ],
)

/** Keys that sign service-account login tokens; `id` is the `kid`. */
export const platformSigningKeys = pgTable('platform_signing_keys', {
  id: text('id').primaryKey(),
  envelope: bytea('envelope').notNull(),
  version: integer('version').notNull(),
  createdAt: createdAt(),
})

export const apiKeys = pgTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    prefix: text('prefix').notNull(),
    zoneId: text('zone_id'),
    serviceAccountId: text('service_account_id').notNull(),
    rules: jsonb('rules'),
    secretHash: text('secret_hash').notNull(),
    previousHash: text('previous_hash'),
    previousValidUntil: timestamptz('previous_valid_until'),
    expiresAt: timestamptz('expires_at'),
    lastUsedAt: timestamptz('last_used_at'),
    revokedAt: timestamptz('revoked_at'),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    foreignKey({ name: 'api_keys_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }).onDelete(
      'cascade',
    ),
    foreignKey({
      name: 'api_keys_service_account_id_fkey',
      columns: [t.serviceAccountId],
      foreignColumns: [serviceAccounts.id],
    }).onDelete('cascade'),
    index('api_keys_service_account_keyset_idx').on(t.serviceAccountId, t.createdAt.desc(), t.id.desc()),
    index('api_keys_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
  ],
)

export const roles = pgTable(
  'roles',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id'),
    name: text('name').notNull(),
    description: text('description'),
    rules: jsonb('rules').notNull(),
    builtIn: boolean('built_in').notNull().default(false),
    createdBy: text('created_by').notNull(),
    updatedBy: text('updated_by'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'roles_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }).onDelete(
      'cascade',
    ),
    unique('roles_zone_id_name_key').on(t.zoneId, t.name).nullsNotDistinct(),
    index('roles_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
  ],
)

export const roleBindings = pgTable(
  'role_bindings',
  {
    id: text('id').primaryKey(),
    roleId: text('role_id').notNull(),
    subjectKind: text('subject_kind', { enum: ['service_account', 'account'] }).notNull(),
    subjectId: text('subject_id').notNull(),
    zoneId: text('zone_id'),
    createdBy: text('created_by').notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    foreignKey({ name: 'role_bindings_role_id_fkey', columns: [t.roleId], foreignColumns: [roles.id] }),
    foreignKey({
      name: 'role_bindings_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    unique('role_bindings_role_subject_zone_key')
      .on(t.roleId, t.subjectKind, t.subjectId, t.zoneId)
      .nullsNotDistinct(),
    index('role_bindings_subject_idx').on(t.subjectKind, t.subjectId),
    index('role_bindings_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    check('role_bindings_subject_kind_check', sql`${t.subjectKind} in ('service_account', 'account')`),
  ],
)

export const consoleAccounts = pgTable(
  'console_accounts',
  {
    id: text('id').primaryKey(),
    email: text('email').notNull(),
    passwordHash: text('password_hash'),
    verifiedAt: timestamptz('verified_at'),
    ...timestamps(),
  },
  (t) => [
    unique('console_accounts_email_key').on(t.email),
    check('console_accounts_email_check', sql`${t.email} = lower(${t.email})`),
  ],
)

export const consoleSessions = pgTable(
  'console_sessions',
  {
    id: text('id').primaryKey(),
    tokenHash: text('token_hash').notNull(),
    accountId: text('account_id'),
    adminTokenId: text('admin_token_id'),
    expiresAt: timestamptz('expires_at').notNull(),
    revokedAt: timestamptz('revoked_at'),
    createdAt: createdAt(),
  },
  (t) => [
    unique('console_sessions_token_hash_key').on(t.tokenHash),
    foreignKey({
      name: 'console_sessions_account_id_fkey',
      columns: [t.accountId],
      foreignColumns: [consoleAccounts.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'console_sessions_admin_token_id_fkey',
      columns: [t.adminTokenId],
      foreignColumns: [adminTokens.id],
    }).onDelete('cascade'),
    index('console_sessions_account_id_idx').on(t.accountId).where(sql`${t.accountId} is not null`),
    index('console_sessions_expires_at_idx').on(t.expiresAt),
  ],
)

/** Which drivers this deployment runs on; one row, written by the first process (design §5). */
export const deployment = pgTable(
  'deployment',
  {
    singleton: boolean('singleton').primaryKey().default(true),
    busDriver: text('bus_driver', { enum: ['redis', 'postgres'] }).notNull(),
    ephemeraDriver: text('ephemera_driver', { enum: ['redis', 'postgres'] }).notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    check('deployment_singleton_check', sql`${t.singleton}`),
    check('deployment_bus_driver_check', sql`${t.busDriver} in ('redis', 'postgres')`),
    check('deployment_ephemera_driver_check', sql`${t.ephemeraDriver} in ('redis', 'postgres')`),
  ],
)

/** The sealed key of credential hashes (storage-and-operations §9.3); one row. */
export const credentialKeys = pgTable('credential_keys', {
  id: text('id').primaryKey(),
  envelope: bytea('envelope').notNull(),
  createdAt: createdAt(),
})

/** Written by the migration runner only. */
export const schemaMigrations = pgTable('schema_migrations', {
  version: text('version').primaryKey(),
  appliedAt: timestamptz('applied_at').notNull().defaultNow(),
})
