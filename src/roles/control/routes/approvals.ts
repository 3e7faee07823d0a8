/** Approvals (control-api §7.16). */
import * as v from '../../../platform/schema.ts'
import { reading } from '../control.ts'
import { decide } from '../decide-approval.ts'
import { found } from '../not-found.ts'
import { can, ok, route } from '../route.ts'
import { countApprovals, findApproval, listApprovals } from '../store/approvals.ts'
import { instant, pageEntries, text } from './inputs.ts'
import { anyJson, named, pageOf, timestamp } from './shapes.ts'

const states = ['pending', 'approved', 'rejected', 'expired', 'consumed'] as const

const approval = named(
  'Approval',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    session_id: v.nullable(v.string()),
    principal_id: v.nullable(v.string()),
    application_id: v.nullable(v.string()),
    approval_type: v.string(),
    tier: v.nullable(v.string()),
    approver_class: v.picklist(['operator', 'subject', 'any']),
    privacy_mode: v.picklist(['identified', 'pseudonymous', 'anonymous']),
    subject_anchor: v.nullable(v.string()),
    binding: v.nullable(v.string()),
    metadata_json: anyJson,
    decision_reason: v.nullable(v.string()),
    created_at: timestamp,
    expires_at: timestamp,
    satisfied_at: v.nullable(timestamp),
    rejected_at: v.nullable(timestamp),
    consumed_at: v.nullable(timestamp),
    approver_subject_id: v.nullable(v.string()),
    principal_federated: v.boolean(),
    prior_approved: v.number(),
    prior_rejected: v.number(),
    state: v.picklist(states),
  }),
)
const decision = named(
  'ApprovalDecision',
  v.object({
    id: v.string(),
    state: v.picklist(['approved', 'rejected']),
    satisfied_at: v.nullable(timestamp),
    rejected_at: v.nullable(timestamp),
    approver_subject_id: v.nullable(v.string()),
  }),
)
const counts = named(
  'ApprovalCounts',
  v.object({
    pending: v.number(),
    approved: v.number(),
    rejected: v.number(),
    expired: v.number(),
    consumed: v.number(),
  }),
)

const path = '/v1/zones/{zoneId}/approvals'
const tag = 'Approvals'

const decisionRoute = (verb: 'approve' | 'reject') =>
  route({
    method: 'POST',
    path: `${path}/{id}/${verb}`,
    operationId: `${verb}Approval`,
    tag,
    summary: verb === 'approve' ? 'Approve a pending hold' : 'Reject a pending hold',
    access: 'approve',
    permission: can('approval', 'approvals', verb),
    priority: 'P0',
    body: v.object({ reason: v.optional(text(0, 500)) }),
    bodyOptional: true,
    responses: { 200: decision },
    errors: [
      'invalid_body',
      'approve_capability_required',
      'subject_approval_required',
      'approval_not_found',
      'approval_not_decidable',
    ],
    handle: async (control, call) => {
      const reason = call.body.reason === undefined || call.body.reason === '' ? null : call.body.reason
      return ok(await decide(control, call, verb === 'approve', reason))
    },
  })

export const approvalRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listApprovals',
    tag,
    summary: 'List approvals',
    access: 'read',
    permission: can('approval', 'approvals', 'list'),
    priority: 'P0',
    query: v.object({
      ...pageEntries,
      state: v.optional(v.picklist(states)),
      tier: v.optional(text(1, 64)),
      principal: v.optional(text(1, 128)),
      since: v.optional(instant),
      until: v.optional(instant),
    }),
    responses: { 200: pageOf('Approval', approval) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const { limit, cursor, ...filters } = call.query
      return ok(
        await reading(control, call, (db) => listApprovals(db, call.zoneId, filters, { limit, cursor })),
      )
    },
  }),
  route({
    method: 'GET',
    path: `${path}/counts`,
    operationId: 'countApprovals',
    tag,
    summary: 'Count approvals by state',
    access: 'read',
    permission: can('approval', 'approvals', 'list'),
    priority: 'P0',
    responses: { 200: counts },
    errors: [],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => countApprovals(db, call.zoneId))),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getApproval',
    tag,
    summary: 'Read an approval',
    access: 'read',
    permission: can('approval', 'approvals', 'get'),
    priority: 'P0',
    responses: { 200: approval },
    errors: ['approval_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await reading(control, call, (db) => findApproval(db, call.zoneId, call.id)),
          'approval_not_found',
        ),
      ),
  }),
  decisionRoute('approve'),
  decisionRoute('reject'),
]
