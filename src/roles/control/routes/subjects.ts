/** Subjects and the kill switch (control-api §7.15). */
import * as v from '../../../platform/schema.ts'
import { reading } from '../control.ts'
import { found } from '../not-found.ts'
import { revokeSubject } from '../revoke-subject.ts'
import { can, ok, route } from '../route.ts'
import { listSubjects, subjectOverview } from '../store/subjects.ts'
import { limitEntry, pageEntries, text } from './inputs.ts'
import { anyJson, named, pageOf, timestamp } from './shapes.ts'

const subject = named(
  'Subject',
  v.object({
    subject_id: v.string(),
    federated: v.boolean(),
    application_name: v.nullable(v.string()),
    total_sessions: v.number(),
    active_sessions: v.number(),
    revoked_sessions: v.number(),
    first_seen: timestamp,
    last_seen: timestamp,
    last_revoked_at: v.nullable(timestamp),
    issuer: v.nullable(v.string()),
  }),
)
const path = '/v1/zones/{zoneId}/subjects'
const tag = 'Subjects'

export const subjectRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listSubjects',
    tag,
    summary: 'List the subjects seen in a zone',
    access: 'read',
    permission: can('runtime', 'subjects', 'list'),
    priority: 'P1',
    query: v.object({
      ...pageEntries,
      limit: limitEntry(100, 200),
      kind: v.optional(v.picklist(['user', 'application'])),
      search: v.optional(text(1, 512)),
    }),
    responses: { 200: pageOf('Subject', subject) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const { limit, cursor, ...filters } = call.query
      return ok(
        await reading(control, call, (db) => listSubjects(db, call.zoneId, filters, { limit, cursor })),
      )
    },
  }),
  route({
    method: 'GET',
    path: `${path}/overview`,
    operationId: 'getSubjectOverview',
    tag,
    summary: 'What hangs on one subject',
    access: 'read',
    permission: can('runtime', 'subjects', 'get'),
    priority: 'P1',
    query: v.object({ subject_id: text(1, 512) }),
    responses: {
      200: named(
        'SubjectOverview',
        v.object({
          subject,
          governed: v.object({ active: v.number(), total: v.number(), recent: v.array(anyJson) }),
          approvals: v.object({ pending: v.number(), total: v.number() }),
          connections: v.array(anyJson),
        }),
      ),
    },
    errors: ['invalid_query', 'subject_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        const { subject_id } = call.query
        const page = await listSubjects(db, call.zoneId, { subject_id }, { limit: 1 })
        const row = found(page.items[0] ?? null, 'subject_not_found')
        return ok({ subject: row, ...(await subjectOverview(db, call.zoneId, subject_id)) })
      }),
  }),
  route({
    method: 'POST',
    path: `${path}/revoke`,
    operationId: 'revokeSubject',
    tag,
    summary: 'Withdraw everything a subject holds in the zone',
    access: 'write',
    permission: can('runtime', 'subjects', 'revoke'),
    priority: 'P0',
    body: v.object({
      subject_id: text(1, 512),
      reason: v.optional(text(1, 512), 'subject_revoked'),
      dry_run: v.optional(v.boolean(), false),
    }),
    invalid: 'invalid_subject_revoke',
    responses: {
      200: named(
        'SubjectRevocation',
        v.object({
          subject_id: v.string(),
          authority_records: v.number(),
          sessions: v.number(),
          delegations: v.number(),
          connections: v.number(),
        }),
      ),
    },
    errors: ['invalid_subject_revoke', 'subject_not_found'],
    handle: async (control, call) => ok(await revokeSubject(control, call, call.body)),
  }),
]
