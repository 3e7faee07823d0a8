/** Tables owned by the control role: who may call it (storage-and-operations §3.1). */
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
import { bytea, createdAt, jsonb, timestamps, timestamptz } from './columns.ts'
import { zones } from './definitions.ts'

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
    linksByHand: boolean('links_by_hand').notNull().default(false),
  },
  (t) => [
    unique('console_accounts_email_key').on(t.email),
    check('console_accounts_email_check', sql`${t.email} = lower(${t.email})`),
  ],
)

export const consoleIdentities = pgTable(
  'console_identities',
  {
    provider: text('provider').notNull(),
    subject: text('subject').notNull(),
    accountId: text('account_id').notNull(),
    email: text('email'),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ name: 'console_identities_pkey', columns: [t.provider, t.subject] }),
    unique('console_identities_account_id_provider_key').on(t.accountId, t.provider),
    foreignKey({
      name: 'console_identities_account_id_fkey',
      columns: [t.accountId],
      foreignColumns: [consoleAccounts.id],
    }).onDelete('cascade'),
    check('console_identities_provider_check', sql`${t.provider} in ('google', 'github')`),
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
