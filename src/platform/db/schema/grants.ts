/** Tables owned by the control role: what is granted, connected, trusted and kept secret within a zone (storage-and-operations §3.1). */
import { check, foreignKey, index, integer, pgTable, sql, text, uniqueIndex } from '../drizzle.ts'
import { attribution, bytea, timestamps, timestamptz } from './columns.ts'
import { applications, providers, resources, zones } from './definitions.ts'

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
