/** Authority records, sessions and the administrative ledger of a zone (control-api §7.18). */

import { toCsv } from '../../../platform/csv.ts'
import type { ErrorCode } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { adminAuditFields, chooseFields, flatAdminAction } from '../audit-fields.ts'
import { reading } from '../control.ts'
import { requireAlso } from '../perform.ts'
import { redactEvidence } from '../redact-evidence.ts'
import { can, ok, route } from '../route.ts'
import { listAdminAudit } from '../store/admin-audit.ts'
import { listAuthorityRecords, listSessions } from '../store/runtime.ts'
import { csvReply } from './audit.ts'
import { commaList, identifier, instant, text, windowEntries } from './inputs.ts'
import { anyJson, named, pageOf, timestamp } from './shapes.ts'

const format = v.optional(v.picklist(['json', 'csv']), 'json')

const authorityRecord = named(
  'AuthorityRecord',
  v.object({
    authority_record_id: v.string(),
    zone_id: v.string(),
    authority_record_type: v.picklist(['user', 'application']),
    subject_id: v.nullable(v.string()),
    federated_user_issuer: v.nullable(v.string()),
    parent_authority_record_id: v.nullable(v.string()),
    status: v.picklist(['active', 'revoked', 'expired']),
    expires_at: timestamp,
    authenticated_at: timestamp,
    created_at: timestamp,
    revoked_at: v.nullable(timestamp),
    revoked_reason: v.nullable(v.string()),
  }),
)
const authorityColumns = [
  'authority_record_id',
  'authority_record_type',
  'subject_id',
  'federated_user_issuer',
  'parent_authority_record_id',
  'status',
  'authenticated_at',
  'created_at',
  'expires_at',
  'revoked_at',
  'revoked_reason',
] as const

const session = named(
  'Session',
  v.object({
    session_id: v.string(),
    application_id: v.string(),
    parent_session_id: v.nullable(v.string()),
    status: v.string(),
    lifecycle: v.picklist(['task', 'service']),
    labels: v.array(v.string()),
    depth: v.number(),
    child_count: v.number(),
    subject_authority_record_id: v.string(),
    subject_id: v.nullable(v.string()),
    federated_user_id: v.nullable(v.string()),
    federated_user_issuer: v.nullable(v.string()),
    started_at: timestamp,
    last_active_at: timestamp,
    terminated_at: v.nullable(timestamp),
    termination_reason: v.nullable(v.string()),
    ttl_seconds: v.nullable(v.number()),
  }),
)
const sessionColumns = [
  'session_id',
  'application_id',
  'parent_session_id',
  'status',
  'lifecycle',
  'labels',
  'depth',
  'child_count',
  'subject_authority_record_id',
  'subject_id',
  'federated_user_id',
  'federated_user_issuer',
  'started_at',
  'last_active_at',
  'terminated_at',
  'termination_reason',
  'ttl_seconds',
] as const

const adminAction = named(
  'AdminAction',
  v.object({
    id: v.string(),
    request_id: v.string(),
    actor_id: v.nullable(v.string()),
    actor_name: v.nullable(v.string()),
    actor_scope: v.nullable(v.string()),
    action: v.string(),
    method: v.string(),
    path: v.string(),
    entity_type: v.nullable(v.string()),
    entity_id: v.nullable(v.string()),
    status_code: v.number(),
    payload_json: v.nullable(anyJson),
    occurred_at: timestamp,
    chain_seq: v.number(),
    signed: v.boolean(),
  }),
)

const listErrors: readonly ErrorCode[] = ['invalid_query', 'invalid_cursor']

export const runtimeRoutes = [
  route({
    method: 'GET',
    path: '/v1/zones/{zoneId}/authority-records',
    operationId: 'listAuthorityRecords',
    tag: 'Runtime',
    summary: 'List authority records',
    access: 'read',
    permission: can('runtime', 'authority-records', 'list'),
    priority: 'P0',
    query: v.object({
      ...windowEntries,
      authority_record_id: v.optional(identifier),
      status: v.optional(v.picklist(['active', 'revoked', 'expired'])),
      subject_id: v.optional(text(1, 512)),
      kind: v.optional(v.picklist(['user', 'application'])),
      format,
    }),
    csv: true,
    responses: { 200: pageOf('AuthorityRecord', authorityRecord) },
    errors: listErrors,
    handle: async (control, call) => {
      const { limit, cursor, format: form, ...filters } = call.query
      const page = await reading(control, call, (db) =>
        listAuthorityRecords(db, call.zoneId, filters, { limit, cursor }),
      )
      if (form === 'json') return ok(page)
      const content = toCsv(authorityColumns, page.items)
      return csvReply(`authority-records-${call.zoneId}`, content, page.next_cursor)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/zones/{zoneId}/sessions',
    operationId: 'listSessions',
    tag: 'Runtime',
    summary: 'List sessions',
    access: 'read',
    permission: can('runtime', 'sessions', 'list'),
    priority: 'P0',
    query: v.object({
      ...windowEntries,
      status: v.optional(v.picklist(['active', 'suspended', 'terminated', 'expired'])),
      lifecycle: v.optional(v.picklist(['task', 'service'])),
      application_id: v.optional(identifier),
      parent_session_id: v.optional(identifier),
      subject_id: v.optional(text(1, 512)),
      label: v.optional(text(1, 256)),
      format,
    }),
    csv: true,
    responses: { 200: pageOf('Session', session) },
    errors: listErrors,
    handle: async (control, call) => {
      const { limit, cursor, format: form, ...filters } = call.query
      const page = await reading(control, call, (db) =>
        listSessions(db, call.zoneId, filters, { limit, cursor }),
      )
      if (form === 'json') return ok(page)
      const content = toCsv(sessionColumns, page.items)
      return csvReply(`sessions-${call.zoneId}`, content, page.next_cursor)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/zones/{zoneId}/admin-audit',
    operationId: 'listAdminActions',
    tag: 'Audit',
    summary: 'Read the administrative ledger of a zone',
    access: 'read',
    permission: can('audit', 'admin-events', 'list'),
    priority: 'P1',
    query: v.object({
      ...windowEntries,
      since: v.optional(instant),
      until: v.optional(instant),
      actor_id: v.optional(identifier),
      entity_type: v.optional(text(1, 64)),
      entity_id: v.optional(text(1, 512)),
      method: v.optional(v.picklist(['POST', 'PUT', 'PATCH', 'DELETE'])),
      format,
      fields: v.optional(commaList(64)),
    }),
    csv: true,
    responses: { 200: pageOf('AdminAction', adminAction) },
    errors: [...listErrors, 'invalid_fields'],
    handle: async (control, call) => {
      const { limit, cursor, format: form, fields: wanted, ...filters } = call.query
      const fields = chooseFields(adminAuditFields, wanted)
      if (form === 'csv') requireAlso(call.principal, can('audit', 'admin-events', 'export'), call.zoneId)
      const page = await reading(control, call, (db) =>
        listAdminAudit(db, call.zoneId, filters, { limit, cursor }),
      )
      if (form === 'csv') {
        const rows = page.items.map((row) => flatAdminAction(row, fields))
        return csvReply(`admin-audit-${call.zoneId}`, toCsv(fields, rows), page.next_cursor)
      }
      const items =
        wanted === undefined
          ? page.items.map((row) => ({ ...row, payload_json: redactEvidence(row.payload_json) }))
          : page.items.map((row) => flatAdminAction(row, fields))
      return ok({ items, next_cursor: page.next_cursor })
    },
  }),
]
