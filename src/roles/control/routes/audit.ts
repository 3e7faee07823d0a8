/** Reading a zone's evidence (control-api §7.18). */

import { toCsv } from '../../../platform/csv.ts'
import * as v from '../../../platform/schema.ts'
import { auditFields, chooseFields, flatEvent, visibleEvent } from '../audit-fields.ts'
import { type Control, reading, type Scope } from '../control.ts'
import { explainRequest } from '../explain-request.ts'
import { notFound } from '../not-found.ts'
import { requireAlso } from '../perform.ts'
import { can, ok, type Reply, route } from '../route.ts'
import { auditEventsOfRequest, searchAuditEvents } from '../store/audit-events.ts'
import { commaList, identifier, instant, text, windowEntries } from './inputs.ts'
import { anyJson, named, pageOf, timestamp } from './shapes.ts'

const event = named(
  'AuditEvent',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    event_type: v.string(),
    request_id: v.nullable(v.string()),
    decision: v.nullable(v.string()),
    policy_set_id: v.nullable(v.string()),
    policy_set_version_id: v.nullable(v.string()),
    manifest_sha: v.nullable(v.string()),
    evaluation_status: v.nullable(v.string()),
    determining_policies_json: v.nullable(v.array(anyJson)),
    diagnostics_json: v.nullable(v.array(anyJson)),
    metadata_json: v.nullable(anyJson),
    occurred_at: timestamp,
    ingested_at: timestamp,
  }),
)

/** A page as an attachment; the next cursor travels in a header. */
export function csvReply(file: string, content: string, nextCursor: string | null): Reply {
  return {
    status: 200,
    body: content,
    contentType: 'text/csv; charset=utf-8',
    headers: {
      'content-disposition': `attachment; filename="${file}.csv"`,
      ...(nextCursor === null ? {} : { 'x-next-cursor': nextCursor }),
    },
  }
}

const explanation = named(
  'Explanation',
  v.object({
    request_id: v.string(),
    zone_id: v.string(),
    final_decision: v.string(),
    denied: v.array(anyJson),
    events: v.array(event),
  }),
)

async function explained(
  control: Control,
  call: { readonly scope: Scope; readonly zoneId: string },
  requestId: string,
): Promise<Reply> {
  const events = await reading(control, call, (db) => auditEventsOfRequest(db, call.zoneId, requestId))
  if (events.length === 0) throw notFound('request_not_found')
  return ok(explainRequest(call.zoneId, requestId, events))
}

const path = '/v1/zones/{zoneId}/audit'
const tag = 'Audit'

export const auditRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listAuditEvents',
    tag,
    summary: 'Search the audit events of a zone',
    access: 'read',
    permission: can('audit', 'events', 'list'),
    priority: 'P0',
    query: v.object({
      ...windowEntries,
      since: v.optional(instant),
      until: v.optional(instant),
      request_id: v.optional(text(1, 128)),
      decision: v.optional(v.picklist(['allow', 'deny', 'partial'])),
      event_type: v.optional(commaList(16)),
      application_id: v.optional(identifier),
      session_id: v.optional(identifier),
      authority_record_id: v.optional(identifier),
      label: v.optional(text(1, 256)),
      format: v.optional(v.picklist(['json', 'csv']), 'json'),
      fields: v.optional(commaList(64)),
    }),
    csv: true,
    responses: { 200: pageOf('AuditEvent', event) },
    errors: ['invalid_query', 'invalid_cursor', 'invalid_fields'],
    handle: async (control, call) => {
      const { limit, cursor, format, fields: wanted, ...filters } = call.query
      const fields = chooseFields(auditFields, wanted)
      if (format === 'csv') requireAlso(call.principal, can('audit', 'events', 'export'), call.zoneId)
      const page = await reading(control, call, (db) =>
        searchAuditEvents(db, call.zoneId, filters, { limit, cursor }),
      )
      if (format === 'csv') {
        const rows = page.items.map((row) => flatEvent(row, fields))
        return csvReply(`audit-${call.zoneId}`, toCsv(fields, rows), page.next_cursor)
      }
      const items =
        wanted === undefined ? page.items.map(visibleEvent) : page.items.map((row) => flatEvent(row, fields))
      return ok({ items, next_cursor: page.next_cursor })
    },
  }),
  route({
    method: 'GET',
    path: `${path}/by-request/{requestId}`,
    operationId: 'getAuditByRequest',
    tag,
    summary: 'Every event of one request',
    access: 'read',
    permission: can('audit', 'events', 'get'),
    priority: 'P0',
    responses: { 200: v.array(event) },
    errors: ['request_not_found'],
    handle: async (control, call) => {
      const requestId = call.params.requestId ?? ''
      const events = await reading(control, call, (db) => auditEventsOfRequest(db, call.zoneId, requestId))
      if (events.length === 0) throw notFound('request_not_found')
      return ok(events.map(visibleEvent))
    },
  }),
  route({
    method: 'GET',
    path: `${path}/by-request/{requestId}/explain`,
    operationId: 'explainRequest',
    tag,
    summary: 'Why a request was decided as it was',
    access: 'read',
    permission: can('audit', 'events', 'get'),
    priority: 'P0',
    responses: { 200: explanation },
    errors: ['request_not_found'],
    handle: (control, call) => explained(control, call, call.params.requestId ?? ''),
  }),
  route({
    method: 'GET',
    path: `${path}/explain`,
    operationId: 'explainRequestById',
    tag,
    summary: 'Why a request was decided as it was, for ids that cannot stand in a path',
    access: 'read',
    permission: can('audit', 'events', 'get'),
    priority: 'P1',
    query: v.object({ request_id: text(1, 128) }),
    responses: { 200: explanation },
    errors: ['invalid_query', 'request_not_found'],
    handle: (control, call) => explained(control, call, call.query.request_id),
  }),
]
