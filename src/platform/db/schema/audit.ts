/** Tables owned by the audit role (storage-and-operations §3.4). */
import { bigint, bigserial, check, index, pgTable, primaryKey, sql, text, uniqueIndex } from '../drizzle.ts'
import { bytea, jsonb, timestamptz, updatedAt } from './columns.ts'

/** How many characters of a text the indexes of the ledger hold; who searches for more compares the metadata too. */
export const indexedCharacters = 128
const cut = sql.raw(String(indexedCharacters))

/**
 * Append-only and partitioned by month of `occurred_at`; the migration adds partitions and triggers.
 * No reference to zones: evidence outlives a zone.
 */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: text('id').notNull(),
    zoneId: text('zone_id').notNull(),
    eventType: text('event_type').notNull(),
    requestId: text('request_id'),
    decision: text('decision'),
    policySetId: text('policy_set_id'),
    policySetVersionId: text('policy_set_version_id'),
    manifestSha: text('manifest_sha'),
    evaluationStatus: text('evaluation_status'),
    determiningPoliciesJson: jsonb('determining_policies_json'),
    diagnosticsJson: jsonb('diagnostics_json'),
    metadataJson: jsonb('metadata_json'),
    occurredAt: timestamptz('occurred_at').notNull(),
    ingestedAt: timestamptz('ingested_at').notNull().default(sql`clock_timestamp()`),
    contentSha256: text('content_sha256'),
    prevContentSha256: text('prev_content_sha256'),
    chainHmac: text('chain_hmac'),
    chainSeq: bigint('chain_seq', { mode: 'number' }),
    ingestSignature: text('ingest_signature'),
    /** First 8 bytes of SHA-256 of the key, hex. */
    chainKeyId: text('chain_key_id'),
    // Generated from the metadata, as row security keeps operators on jsonb from every index.
    applicationId: text('application_id').generatedAlwaysAs(
      sql`"left"(metadata_json ->> 'application_id', ${cut})`,
    ),
    agentSessionId: text('agent_session_id').generatedAlwaysAs(
      sql`"left"(metadata_json ->> 'agent_session_id', ${cut})`,
    ),
    authorityRecordId: text('authority_record_id').generatedAlwaysAs(
      sql`"left"(metadata_json ->> 'session_id', ${cut})`,
    ),
  },
  (t) => [
    primaryKey({ name: 'audit_events_pkey', columns: [t.id, t.occurredAt] }),
    index('audit_events_zone_id_chain_seq_idx').on(t.zoneId, t.chainSeq.desc()),
    index('audit_events_zone_id_occurred_at_idx').on(t.zoneId, t.occurredAt.desc()),
    index('audit_events_request_id_idx').on(t.requestId).where(sql`${t.requestId} is not null`),
    // What is searched for by name is what is not the bulk of the ledger.
    index('audit_events_denied_idx').on(t.zoneId, t.occurredAt.desc()).where(sql`${t.decision} <> 'allow'`),
    index('audit_events_uncommon_type_idx')
      .on(t.zoneId, t.eventType, t.occurredAt.desc())
      .where(sql`${t.eventType} <> 'token_exchange' and ${t.eventType} <> 'gateway_resource_request'`),
    index('audit_events_application_idx')
      .on(t.zoneId, t.applicationId, t.occurredAt.desc())
      .where(sql`${t.applicationId} is not null`),
    index('audit_events_agent_session_idx')
      .on(t.agentSessionId, t.occurredAt.desc())
      .where(sql`${t.agentSessionId} is not null`),
    index('audit_events_authority_record_idx')
      .on(t.authorityRecordId, t.occurredAt.desc())
      .where(sql`${t.authorityRecordId} is not null`),
    index('audit_events_ingested_at_idx').using('brin', t.ingestedAt),
  ],
)

/** One row for each label of an event; append-only and partitioned as the events are, written with them. */
export const auditEventLabels = pgTable(
  'audit_event_labels',
  {
    zoneId: text('zone_id').notNull(),
    /** At most `indexedCharacters` of it. */
    label: text('label').notNull(),
    occurredAt: timestamptz('occurred_at').notNull(),
    eventId: text('event_id').notNull(),
  },
  (t) => [uniqueIndex('audit_event_labels_key').on(t.zoneId, t.label, t.occurredAt.desc(), t.eventId.desc())],
)

export const auditChainHeads = pgTable('audit_chain_heads', {
  zoneId: text('zone_id').primaryKey(),
  chainSeq: bigint('chain_seq', { mode: 'number' }).notNull(),
  contentSha256: text('content_sha256').notNull(),
  updatedAt: updatedAt(),
})

export const auditIngestAlerts = pgTable(
  'audit_ingest_alerts',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    eventId: text('event_id').notNull(),
    zoneId: text('zone_id').notNull(),
    kind: text('kind').notNull(),
    detail: text('detail'),
    observedAt: timestamptz('observed_at').notNull().defaultNow(),
  },
  (t) => [index('audit_ingest_alerts_zone_id_observed_at_idx').on(t.zoneId, t.observedAt.desc())],
)

/** Copy of every dead-letter entry, so that evidence survives the loss of the stream. */
export const auditDeadLetters = pgTable(
  'audit_dead_letters',
  {
    /** Id of the dead-letter stream entry. */
    id: text('id').primaryKey(),
    reason: text('reason').notNull(),
    srcId: text('src_id'),
    eventId: text('event_id'),
    zoneId: text('zone_id'),
    data: text('data'),
    sig: text('sig'),
    receivedAt: timestamptz('received_at').notNull(),
    replayedAt: timestamptz('replayed_at'),
  },
  (t) => [index('audit_dead_letters_received_at_idx').on(t.receivedAt)],
)

export const auditExportWatermark = pgTable('audit_export_watermark', {
  name: text('name').primaryKey(),
  lastExportedHour: timestamptz('last_exported_hour').notNull(),
  updatedAt: updatedAt(),
})

export const auditTamperCheckpoints = pgTable('audit_tamper_checkpoints', {
  zoneId: text('zone_id').primaryKey(),
  verifiedSeq: bigint('verified_seq', { mode: 'number' }).notNull(),
  verifiedSha256: text('verified_sha256').notNull(),
  verifiedAt: timestamptz('verified_at').notNull(),
})

/**
 * Links that retention took out of a chain: what stood before and at the end of each range, under a
 * keyed mark, so that a verifier tells retention from truncation.
 */
export const auditChainCuts = pgTable(
  'audit_chain_cuts',
  {
    zoneId: text('zone_id').notNull(),
    fromSeq: bigint('from_seq', { mode: 'number' }).notNull(),
    toSeq: bigint('to_seq', { mode: 'number' }).notNull(),
    /** `prev_content_sha256` of the first link taken. */
    prevSha256: text('prev_sha256'),
    /** `content_sha256` of the last. */
    lastSha256: text('last_sha256').notNull(),
    cutAt: timestamptz('cut_at').notNull(),
    cutHmac: text('cut_hmac').notNull(),
    chainKeyId: text('chain_key_id'),
  },
  (t) => [
    primaryKey({ name: 'audit_chain_cuts_pkey', columns: [t.zoneId, t.fromSeq] }),
    check('audit_chain_cuts_range_check', sql`${t.fromSeq} <= ${t.toSeq}`),
  ],
)

/** Leaf hashes of a zone's Merkle tree, 1,024 of 32 bytes in a block; outlives the events themselves. */
export const auditTreeBlocks = pgTable(
  'audit_tree_blocks',
  {
    zoneId: text('zone_id').notNull(),
    block: bigint('block', { mode: 'number' }).notNull(),
    leaves: bytea('leaves').notNull(),
    /** Root over the block's leaves. */
    root: bytea('root').notNull(),
  },
  (t) => [primaryKey({ name: 'audit_tree_blocks_pkey', columns: [t.zoneId, t.block] })],
)

/** Signed heads of the trees; append-only. */
export const auditTreeHeads = pgTable(
  'audit_tree_heads',
  {
    zoneId: text('zone_id').notNull(),
    treeSize: bigint('tree_size', { mode: 'number' }).notNull(),
    rootSha256: text('root_sha256').notNull(),
    /** `content_sha256` of the last link the tree covers. */
    chainSha256: text('chain_sha256').notNull(),
    /** Compact JWS of the head. */
    statement: text('statement').notNull(),
    signedAt: timestamptz('signed_at').notNull(),
  },
  (t) => [primaryKey({ name: 'audit_tree_heads_pkey', columns: [t.zoneId, t.treeSize] })],
)
