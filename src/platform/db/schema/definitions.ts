/** Tables owned by the control role: what a zone consists of (storage-and-operations §3.1). */
import {
  boolean,
  check,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  sql,
  text,
  unique,
  uniqueIndex,
} from '../drizzle.ts'
import { attribution, createdAt, jsonb, textArray, timestamps, timestamptz, updatedAt } from './columns.ts'

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

/** How an upstream is given its credential (gateway §22.2). */
export const providerKinds = [
  'none',
  'caracal_mandate',
  'oauth2_authorization_code',
  'oauth2_client_credentials',
  'api_key',
  'bearer_token',
  'http_basic',
] as const

export const providers = pgTable(
  'providers',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    name: text('name').notNull(),
    identifier: text('identifier').notNull(),
    providerKind: text('provider_kind', { enum: providerKinds }).notNull(),
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

/** The transaction that last changed a definition of the zone; written by triggers, whoever makes the change. */
export const definitionVersions = pgTable(
  'definition_versions',
  {
    zoneId: text('zone_id').primaryKey(),
    version: text('version').notNull(),
  },
  (t) => [
    foreignKey({
      name: 'definition_versions_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
  ],
)
