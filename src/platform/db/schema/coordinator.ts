/** Tables owned by the coordinator (storage-and-operations §3.3). */
import {
  bigint,
  check,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  sql,
  text,
  unique,
} from '../drizzle.ts'
import { bytea, createdAt, jsonb, textArray, timestamps, timestamptz, updatedAt } from './columns.ts'
import { applications, resources, zones } from './definitions.ts'
import { authorityRecords } from './sts.ts'

export const agentSessions = pgTable(
  'agent_sessions',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    applicationId: text('application_id').notNull(),
    /** Authority record of the subject the session acts for. */
    sessionSid: text('session_sid').notNull(),
    parentId: text('parent_id'),
    status: text('status', { enum: ['active', 'suspended', 'terminated', 'expired'] })
      .notNull()
      .default('active'),
    depth: integer('depth').notNull().default(0),
    capabilities: textArray('capabilities'),
    labels: textArray('labels'),
    lifecycle: text('lifecycle', { enum: ['task', 'service'] })
      .notNull()
      .default('task'),
    ttlSeconds: integer('ttl_seconds').default(3600),
    maxChildren: integer('max_children').notNull().default(10),
    childCount: integer('child_count').notNull().default(0),
    spawnedAt: timestamptz('spawned_at').notNull().defaultNow(),
    suspendedAt: timestamptz('suspended_at'),
    terminatedAt: timestamptz('terminated_at'),
    terminationReason: text('termination_reason'),
    lastActiveAt: timestamptz('last_active_at').notNull().defaultNow(),
    lastHeartbeatAt: timestamptz('last_heartbeat_at'),
    heartbeatDeadlineAt: timestamptz('heartbeat_deadline_at'),
    /** Fencing number of a service session's lease. */
    leaseGeneration: bigint('lease_generation', { mode: 'number' }).notNull().default(0),
    metadataJson: jsonb('metadata_json'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'agent_sessions_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'agent_sessions_application_fkey',
      columns: [t.zoneId, t.applicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }),
    foreignKey({
      name: 'agent_sessions_session_sid_fkey',
      columns: [t.zoneId, t.sessionSid],
      foreignColumns: [authorityRecords.zoneId, authorityRecords.id],
    }),
    foreignKey({
      name: 'agent_sessions_parent_fkey',
      columns: [t.zoneId, t.parentId],
      foreignColumns: [t.zoneId, t.id],
    }),
    unique('agent_sessions_zone_id_id_key').on(t.zoneId, t.id),
    index('agent_sessions_application_keyset_idx').on(t.zoneId, t.applicationId, t.id),
    index('agent_sessions_status_keyset_idx').on(t.zoneId, t.status, t.id),
    index('agent_sessions_zone_id_parent_id_status_idx').on(t.zoneId, t.parentId, t.status),
    index('agent_sessions_session_sid_idx').on(t.sessionSid),
    index('agent_sessions_keyset_idx').on(t.zoneId, t.spawnedAt.desc(), t.id.desc()),
    index('agent_sessions_last_active_at_idx').on(t.lastActiveAt).where(sql`${t.status} = 'active'`),
    index('agent_sessions_heartbeat_deadline_at_idx')
      .on(t.heartbeatDeadlineAt)
      .where(sql`${t.status} = 'active' and ${t.lifecycle} = 'service'`),
    index('agent_sessions_terminated_at_idx')
      .on(t.terminatedAt, t.id)
      .where(sql`${t.status} in ('terminated', 'expired')`),
    check(
      'agent_sessions_status_check',
      sql`${t.status} in ('active', 'suspended', 'terminated', 'expired')`,
    ),
    check('agent_sessions_lease_generation_check', sql`${t.leaseGeneration} >= 0`),
    check(
      'agent_sessions_lifecycle_check',
      sql`(${t.lifecycle} = 'task' and ${t.ttlSeconds} is not null and ${t.ttlSeconds} > 0 and ${t.lastHeartbeatAt} is null and ${t.heartbeatDeadlineAt} is null) or (${t.lifecycle} = 'service' and ${t.ttlSeconds} is null and ${t.lastHeartbeatAt} is not null and ${t.heartbeatDeadlineAt} is not null)`,
    ),
    check(
      'agent_sessions_terminated_check',
      sql`(${t.status} in ('terminated', 'expired')) = (${t.terminatedAt} is not null)`,
    ),
  ],
)

/** One row for each label of a session, in the order of either list; written at its start, gone with it. */
export const agentSessionLabels = pgTable(
  'agent_session_labels',
  {
    zoneId: text('zone_id').notNull(),
    label: text('label').notNull(),
    sessionId: text('session_id').notNull(),
    spawnedAt: timestamptz('spawned_at').notNull(),
  },
  (t) => [
    primaryKey({ name: 'agent_session_labels_pkey', columns: [t.zoneId, t.label, t.sessionId] }),
    index('agent_session_labels_keyset_idx').on(t.zoneId, t.label, t.spawnedAt.desc(), t.sessionId.desc()),
  ],
)

export const agentServices = pgTable(
  'agent_services',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    applicationId: text('application_id').notNull(),
    endpointUrl: text('endpoint_url').notNull(),
    protocolVersions: textArray('protocol_versions'),
    frameworkName: text('framework_name'),
    frameworkVersion: text('framework_version'),
    capabilities: textArray('capabilities'),
    health: text('health', { enum: ['starting', 'healthy', 'degraded', 'unhealthy'] })
      .notNull()
      .default('starting'),
    metadataJson: jsonb('metadata_json').notNull().default(sql`'{}'::jsonb`),
    lastHeartbeatAt: timestamptz('last_heartbeat_at'),
    agentSessionId: text('agent_session_id'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({
      name: 'agent_services_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'agent_services_application_fkey',
      columns: [t.zoneId, t.applicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }).onDelete('cascade'),
    // The migration limits SET NULL to the session column: the zone stays.
    foreignKey({
      name: 'agent_services_agent_session_fkey',
      columns: [t.zoneId, t.agentSessionId],
      foreignColumns: [agentSessions.zoneId, agentSessions.id],
    }).onDelete('set null'),
    unique('agent_services_zone_id_application_id_endpoint_url_key').on(
      t.zoneId,
      t.applicationId,
      t.endpointUrl,
    ),
    unique('agent_services_zone_id_id_key').on(t.zoneId, t.id),
    index('agent_services_zone_id_application_id_idx').on(t.zoneId, t.applicationId),
    index('agent_services_zone_id_health_idx').on(t.zoneId, t.health),
    index('agent_services_zone_id_agent_session_id_idx')
      .on(t.zoneId, t.agentSessionId)
      .where(sql`${t.agentSessionId} is not null`),
    index('agent_services_last_heartbeat_at_idx')
      .on(t.lastHeartbeatAt)
      .where(sql`${t.health} in ('healthy', 'degraded')`),
    check(
      'agent_services_health_check',
      sql`${t.health} in ('starting', 'healthy', 'degraded', 'unhealthy')`,
    ),
  ],
)

export const agentInvocations = pgTable(
  'agent_invocations',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    serviceId: text('service_id').notNull(),
    sourceSessionId: text('source_session_id'),
    targetSessionId: text('target_session_id'),
    idempotencyKey: text('idempotency_key').notNull(),
    method: text('method').notNull(),
    paramsJson: jsonb('params_json').notNull().default(sql`'{}'::jsonb`),
    metadataJson: jsonb('metadata_json').notNull().default(sql`'{}'::jsonb`),
    requestDigest: bytea('request_digest').notNull(),
    status: text('status', {
      enum: [
        'pending',
        'running',
        'succeeded',
        'failed',
        'timed_out',
        'canceled',
        'dead',
        'cancel_requested',
      ],
    })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    maxAttempts: integer('max_attempts').notNull().default(3),
    timeoutMs: integer('timeout_ms').notNull().default(30000),
    retryPolicyJson: jsonb('retry_policy_json').notNull().default(sql`'{}'::jsonb`),
    errorJson: jsonb('error_json'),
    deadlineAt: timestamptz('deadline_at'),
    cancelRequestedAt: timestamptz('cancel_requested_at'),
    startedAt: timestamptz('started_at'),
    completedAt: timestamptz('completed_at'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({
      name: 'agent_invocations_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'agent_invocations_service_fkey',
      columns: [t.zoneId, t.serviceId],
      foreignColumns: [agentServices.zoneId, agentServices.id],
    }).onDelete('cascade'),
    // The migration limits SET NULL to the session columns: the zone stays.
    foreignKey({
      name: 'agent_invocations_source_session_fkey',
      columns: [t.zoneId, t.sourceSessionId],
      foreignColumns: [agentSessions.zoneId, agentSessions.id],
    }).onDelete('set null'),
    foreignKey({
      name: 'agent_invocations_target_session_fkey',
      columns: [t.zoneId, t.targetSessionId],
      foreignColumns: [agentSessions.zoneId, agentSessions.id],
    }).onDelete('set null'),
    unique('agent_invocations_zone_id_service_id_idempotency_key_key').on(
      t.zoneId,
      t.serviceId,
      t.idempotencyKey,
    ),
    unique('agent_invocations_zone_id_id_key').on(t.zoneId, t.id),
    index('agent_invocations_status_keyset_idx').on(t.zoneId, t.status, t.id),
    index('agent_invocations_status_idx').on(t.status),
    index('agent_invocations_deadline_at_idx').on(t.deadlineAt).where(sql`${t.status} = 'running'`),
    index('agent_invocations_ended_idx')
      .on(t.updatedAt)
      .where(sql`${t.status} not in ('pending', 'running', 'cancel_requested')`),
    index('agent_invocations_zone_id_service_id_status_created_at_idx').on(
      t.zoneId,
      t.serviceId,
      t.status,
      t.createdAt.desc(),
    ),
    index('agent_invocations_zone_id_source_session_id_status_idx')
      .on(t.zoneId, t.sourceSessionId, t.status)
      .where(sql`${t.sourceSessionId} is not null`),
    index('agent_invocations_zone_id_target_session_id_status_idx')
      .on(t.zoneId, t.targetSessionId, t.status)
      .where(sql`${t.targetSessionId} is not null`),
    check('agent_invocations_request_digest_check', sql`octet_length(${t.requestDigest}) = 32`),
    check(
      'agent_invocations_status_check',
      sql`${t.status} in ('pending', 'running', 'succeeded', 'failed', 'timed_out', 'canceled', 'dead', 'cancel_requested')`,
    ),
    check('agent_invocations_max_attempts_check', sql`${t.maxAttempts} > 0`),
    check('agent_invocations_timeout_ms_check', sql`${t.timeoutMs} > 0`),
  ],
)

export const delegationEdges = pgTable(
  'delegation_edges',
  {
    id: text('id').primaryKey(),
    zoneId: text('zone_id').notNull(),
    sourceAgentId: text('source_agent_id').notNull(),
    targetAgentId: text('target_agent_id').notNull(),
    issuerApplicationId: text('issuer_application_id').notNull(),
    receiverApplicationId: text('receiver_application_id').notNull(),
    resourceId: text('resource_id'),
    parentEdgeId: text('parent_edge_id'),
    scopes: textArray('scopes'),
    constraintsJson: jsonb('constraints_json').notNull().default(sql`'{}'::jsonb`),
    status: text('status', { enum: ['active', 'revoked', 'expired'] })
      .notNull()
      .default('active'),
    expiresAt: timestamptz('expires_at').notNull(),
    edgeVersion: integer('edge_version').notNull().default(0),
    revokedAt: timestamptz('revoked_at'),
    ...timestamps(),
  },
  (t) => [
    foreignKey({ name: 'delegation_edges_zone_id_fkey', columns: [t.zoneId], foreignColumns: [zones.id] }),
    foreignKey({
      name: 'delegation_edges_source_agent_fkey',
      columns: [t.zoneId, t.sourceAgentId],
      foreignColumns: [agentSessions.zoneId, agentSessions.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'delegation_edges_target_agent_fkey',
      columns: [t.zoneId, t.targetAgentId],
      foreignColumns: [agentSessions.zoneId, agentSessions.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'delegation_edges_issuer_application_fkey',
      columns: [t.zoneId, t.issuerApplicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }),
    foreignKey({
      name: 'delegation_edges_receiver_application_fkey',
      columns: [t.zoneId, t.receiverApplicationId],
      foreignColumns: [applications.zoneId, applications.id],
    }),
    foreignKey({
      name: 'delegation_edges_resource_fkey',
      columns: [t.zoneId, t.resourceId],
      foreignColumns: [resources.zoneId, resources.id],
    }),
    // The migration limits SET NULL to the parent column: the zone stays.
    foreignKey({
      name: 'delegation_edges_parent_edge_fkey',
      columns: [t.zoneId, t.parentEdgeId],
      foreignColumns: [t.zoneId, t.id],
    }).onDelete('set null'),
    unique('delegation_edges_zone_id_id_key').on(t.zoneId, t.id),
    index('delegation_edges_expires_at_idx').on(t.expiresAt).where(sql`${t.status} = 'active'`),
    index('delegation_edges_zone_id_source_agent_id_status_idx').on(t.zoneId, t.sourceAgentId, t.status),
    index('delegation_edges_zone_id_target_agent_id_status_idx').on(t.zoneId, t.targetAgentId, t.status),
    index('delegation_edges_zone_id_resource_id_status_idx')
      .on(t.zoneId, t.resourceId, t.status)
      .where(sql`${t.resourceId} is not null`),
    index('delegation_edges_zone_id_parent_edge_id_idx')
      .on(t.zoneId, t.parentEdgeId)
      .where(sql`${t.parentEdgeId} is not null`),
    index('delegation_edges_status_keyset_idx').on(t.zoneId, t.status, t.id),
    index('delegation_edges_ended_idx')
      .on(sql`coalesce(${t.revokedAt}, ${t.expiresAt})`)
      .where(sql`${t.status} in ('revoked', 'expired')`),
    check('delegation_edges_status_check', sql`${t.status} in ('active', 'revoked', 'expired')`),
    check('delegation_edges_distinct_agents_check', sql`${t.sourceAgentId} <> ${t.targetAgentId}`),
    check('delegation_edges_revoked_check', sql`(${t.status} = 'revoked') = (${t.revokedAt} is not null)`),
  ],
)

export const delegationGraphEpochs = pgTable(
  'delegation_graph_epochs',
  {
    zoneId: text('zone_id').primaryKey(),
    epoch: bigint('epoch', { mode: 'number' }).notNull().default(0),
    updatedAt: updatedAt(),
  },
  (t) => [
    foreignKey({
      name: 'delegation_graph_epochs_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
  ],
)

export const coordinatorIdempotencyReceipts = pgTable(
  'coordinator_idempotency_receipts',
  {
    id: text('id').primaryKey(),
    operation: text('operation', {
      enum: ['session.start.v2', 'delegation.create.v2', 'invocation.create.v2'],
    }).notNull(),
    zoneId: text('zone_id').notNull(),
    scopeId: text('scope_id').notNull(),
    keyDigest: bytea('key_digest').notNull(),
    requestDigest: bytea('request_digest').notNull(),
    resourceType: text('resource_type').notNull(),
    resourceId: text('resource_id').notNull(),
    responseStatus: smallint('response_status').notNull(),
    responseJson: jsonb('response_json').notNull(),
    createdAt: createdAt(),
    expiresAt: timestamptz('expires_at').notNull(),
  },
  (t) => [
    foreignKey({
      name: 'coordinator_idempotency_receipts_zone_id_fkey',
      columns: [t.zoneId],
      foreignColumns: [zones.id],
    }).onDelete('cascade'),
    unique('coordinator_idempotency_receipts_key').on(t.operation, t.zoneId, t.scopeId, t.keyDigest),
    index('coordinator_idempotency_receipts_expires_at_idx').on(t.expiresAt, t.id),
    check(
      'coordinator_idempotency_receipts_operation_check',
      sql`${t.operation} in ('session.start.v2', 'delegation.create.v2', 'invocation.create.v2')`,
    ),
    check('coordinator_idempotency_receipts_key_digest_check', sql`octet_length(${t.keyDigest}) = 32`),
    check(
      'coordinator_idempotency_receipts_request_digest_check',
      sql`octet_length(${t.requestDigest}) = 32`,
    ),
    check('coordinator_idempotency_receipts_status_check', sql`${t.responseStatus} between 200 and 299`),
    check(
      'coordinator_idempotency_receipts_response_check',
      sql`octet_length(${t.responseJson}::text) <= 65536`,
    ),
    check('coordinator_idempotency_receipts_expires_check', sql`${t.expiresAt} > ${t.createdAt}`),
  ],
)
