/** Tables owned by the control role: its ledger, limits, webhooks and the deployment itself (storage-and-operations §3.1, §3.5). */
import { bigint, boolean, check, foreignKey, index, integer, pgTable, sql, text, unique } from '../drizzle.ts'
import { bytea, createdAt, jsonb, timestamps, timestamptz, updatedAt } from './columns.ts'
import { zones } from './definitions.ts'

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
