/** Tables owned by the STS (storage-and-operations §3.2). */
import {
  bigint,
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
import { applications, zones } from './definitions.ts'

export const authorityRecords = pgTable(
  'authority_records',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    sessionType: text('session_type', { enum: ['user', 'application'] }).notNull(),
    subjectId: text('subject_id'),
    parentId: text('parent_id'),
    status: text('status', { enum: ['active', 'revoked', 'expired'] })
      .notNull()
      .default('active'),
    expiresAt: timestamptz('expires_at').notNull(),
    authenticatedAt: timestamptz('authenticated_at').notNull(),
    claimsJson: jsonb('claims_json'),
    createdAt: createdAt(),
    revokedAt: timestamptz('revoked_at'),
    revokedReason: text('revoked_reason'),
    /** Whether the sums of its subject know it: set by the reaper, see `subjects`. */
    tally: text('tally', { enum: ['due', 'revocation_due', 'done'] })
      .notNull()
      .default('due'),
  },
  (t) => [
    foreignKey({ name: 'authority_records_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'authority_records_parent_fkey',
      columns: [t.zoneId, t.parentId],
      foreignColumns: [t.zoneId, t.id],
    }),
    unique('authority_records_zone_id_id_key').on(t.zoneId, t.id),
    index('authority_records_expires_at_idx').on(t.expiresAt).where(sql`${t.status} = 'active'`),
    index('authority_records_active_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.status} = 'active'`),
    index('authority_records_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    index('authority_records_zone_id_subject_id_status_idx').on(t.zoneId, t.subjectId, t.status),
    index('authority_records_zone_id_parent_id_idx')
      .on(t.zoneId, t.parentId)
      .where(sql`${t.parentId} is not null`),
    index('authority_records_untold_idx')
      .on(t.zoneId, t.subjectId)
      .where(sql`${t.status} <> 'active' and ${t.tally} <> 'done'`),
    index('authority_records_ended_idx')
      .on(t.expiresAt)
      .where(sql`${t.status} <> 'active' and ${t.tally} = 'done'`),
    check('authority_records_session_type_check', sql`${t.sessionType} in ('user', 'application')`),
    check('authority_records_status_check', sql`${t.status} in ('active', 'revoked', 'expired')`),
  ],
)

/**
 * Sums over the authority records of a subject that have ended and are told (`tally` = `done`). Written by
 * the reaper of control alone, so that nobody else waits for the row of a busy subject.
 */
export const subjects = pgTable(
  'subjects',
  {
    zoneId: text('zone_id').notNull(),
    subjectId: text('subject_id').notNull(),
    records: bigint('records', { mode: 'number' }).notNull(),
    revoked: bigint('revoked', { mode: 'number' }).notNull(),
    firstSeen: timestamptz('first_seen').notNull(),
    lastSeen: timestamptz('last_seen').notNull(),
    lastRevokedAt: timestamptz('last_revoked_at'),
    federated: boolean('federated').notNull(),
    issuer: text('issuer'),
  },
  (t) => [
    primaryKey({ name: 'subjects_pkey', columns: [t.zoneId, t.subjectId] }),
    index('subjects_keyset_idx').on(t.zoneId, t.lastSeen.desc(), t.subjectId.desc()),
  ],
)

/** Sealed zone signing keys: `entity_id` = `zone_id`, `name` = `zone_signing_key`; `id` is the `kid`. */
export const secrets = pgTable(
  'secrets',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    entityId: text('entity_id').notNull(),
    name: text('name').notNull(),
    type: text('type', { enum: ['token', 'password'] }).notNull(),
    envelope: bytea('envelope').notNull(),
    version: integer('version').notNull().default(1),
    activeFrom: timestamptz('active_from').notNull().defaultNow(),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'secrets_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    unique('secrets_zone_id_entity_id_name_version_key').on(t.zoneId, t.entityId, t.name, t.version),
    index('secrets_zone_id_entity_id_idx').on(t.zoneId, t.entityId),
    check('secrets_type_check', sql`${t.type} in ('token', 'password')`),
  ],
)

export const stepUpChallenges = pgTable(
  'step_up_challenges',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    /** Authority record id; the STS stores `''` when there is none. */
    sessionId: text('session_id'),
    challengeType: text('challenge_type').notNull(),
    metadataJson: jsonb('metadata_json').notNull().default(sql`'{}'::jsonb`),
    createdAt: createdAt(),
    expiresAt: timestamptz('expires_at').notNull(),
    satisfiedAt: timestamptz('satisfied_at'),
    rejectedAt: timestamptz('rejected_at'),
    consumedAt: timestamptz('consumed_at'),
    principalId: text('principal_id'),
    resourceSetHash: bytea('resource_set_hash'),
    applicationId: text('application_id'),
    tier: text('tier'),
    approverClass: text('approver_class', { enum: ['operator', 'subject', 'any'] })
      .notNull()
      .default('operator'),
    privacyMode: text('privacy_mode', { enum: ['identified', 'pseudonymous', 'anonymous'] })
      .notNull()
      .default('identified'),
    approverSubjectId: text('approver_subject_id'),
    approverSessionId: text('approver_session_id'),
    decisionReason: text('decision_reason'),
    subjectAnchor: text('subject_anchor'),
    consumedAuthorityRecordId: text('consumed_authority_record_id'),
  },
  (t) => [
    foreignKey({
      name: 'step_up_challenges_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'step_up_challenges_application_fkey',
      columns: [t.zoneId, t.applicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }).onDelete('cascade'),
    // The migration adds NULLS NOT DISTINCT, which Drizzle cannot say for a partial index.
    uniqueIndex('step_up_challenges_open_key')
      .on(t.zoneId, t.principalId, t.sessionId, t.resourceSetHash)
      .where(sql`${t.consumedAt} is null`),
    index('step_up_challenges_application_id_idx').on(t.applicationId),
    index('step_up_challenges_approver_subject_id_idx').on(t.approverSubjectId),
    index('step_up_challenges_expires_at_idx').on(t.expiresAt),
    index('step_up_challenges_session_id_idx').on(t.sessionId),
    index('step_up_challenges_zone_id_principal_id_idx')
      .on(t.zoneId, t.principalId)
      .where(sql`${t.consumedAt} is null`),
    index('step_up_challenges_principal_keyset_idx').on(
      t.zoneId,
      t.principalId,
      t.createdAt.desc(),
      t.id.desc(),
    ),
    // How often a principal was approved and rejected before is counted from these alone.
    index('step_up_challenges_approved_idx')
      .on(t.zoneId, t.principalId, t.createdAt, t.id)
      .where(sql`${t.satisfiedAt} is not null`),
    index('step_up_challenges_rejected_idx')
      .on(t.zoneId, t.principalId, t.createdAt, t.id)
      .where(sql`${t.rejectedAt} is not null`),
    index('step_up_challenges_tier_keyset_idx').on(t.zoneId, t.tier, t.createdAt.desc(), t.id.desc()),
    index('step_up_challenges_open_keyset_idx')
      .on(t.zoneId, t.createdAt.desc(), t.id.desc())
      .where(sql`${t.consumedAt} is null and ${t.rejectedAt} is null`),
    index('step_up_challenges_keyset_idx').on(t.zoneId, t.createdAt.desc(), t.id.desc()),
    index('step_up_challenges_sweep_idx').on(
      sql`greatest(coalesce(${t.consumedAt}, '-infinity'::timestamptz), coalesce(${t.rejectedAt}, '-infinity'::timestamptz), ${t.expiresAt})`,
    ),
    check(
      'step_up_challenges_approver_class_check',
      sql`${t.approverClass} in ('operator', 'subject', 'any')`,
    ),
    check(
      'step_up_challenges_privacy_mode_check',
      sql`${t.privacyMode} in ('identified', 'pseudonymous', 'anonymous')`,
    ),
  ],
)
