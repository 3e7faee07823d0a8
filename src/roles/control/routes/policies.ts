/** Policies: versioned authority documents (control-api §7.10, §7.11). */
import * as v from '../../../platform/schema.ts'
import {
  OUTPUT_CONTRACT,
  POLICY_SCHEMA_VERSION,
  policyTemplates,
  validateDocument,
} from '../../../policy/index.ts'
import { reading, writing } from '../control.ts'
import { found, notFound } from '../not-found.ts'
import { addPolicyVersion, createPolicy } from '../policy-versions.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { archivePolicy, findPolicy, listPolicies, listPolicyVersions } from '../store/policies.ts'
import { pageQuery, text } from './inputs.ts'
import { anyJson, attribution, named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  zone_id: v.string(),
  name: v.string(),
  description: v.nullable(v.string()),
  ...attribution,
}
const policy = named('Policy', v.object(base))
export const versionShape = {
  id: v.string(),
  policy_id: v.string(),
  version: v.number(),
  content: v.string(),
  content_sha256: v.string(),
  schema_version: v.string(),
  created_by: v.string(),
  created_via_operator: v.boolean(),
  created_at: timestamp,
  archived_at: v.nullable(timestamp),
}
const version = named('PolicyVersion', v.object(versionShape))
const sealed = {
  policy_id: v.string(),
  version: v.number(),
  content_sha256: v.string(),
  schema_version: v.string(),
  created_at: timestamp,
}
const template = named(
  'PolicyTemplate',
  v.object({ id: v.string(), name: v.string(), description: v.string(), content: v.string() }),
)

/** The document's own limit (262,144 characters) answers 422; this one only bounds the parse. */
const content = text(1, 1_048_576)
const path = '/v1/zones/{zoneId}/policies'
const tag = 'Policies'

export const policyRoutes = [
  route({
    method: 'POST',
    path: '/v1/policies/validate',
    operationId: 'validatePolicy',
    tag,
    summary: 'Check a policy document without storing it',
    access: 'read',
    permission: can('policy', 'policies', 'validate'),
    priority: 'P0',
    body: v.object({ content }),
    responses: {
      200: named(
        'PolicyValidation',
        v.object({
          valid: v.literal(true),
          schema_version: v.string(),
          input_schema_version: v.string(),
          output_contract: anyJson,
          preview: v.nullable(anyJson),
          warnings: v.array(v.string()),
        }),
      ),
    },
    errors: ['invalid_body', 'invalid_rego'],
    handle: async (_control, call) => {
      const checked = validateDocument(call.body.content)
      if (!checked.ok) {
        return {
          status: 422,
          body: {
            valid: false,
            error: 'invalid_rego',
            error_description: checked.code,
            requestId: call.requestId,
            details: { reason: checked.detail },
          },
        }
      }
      return ok({
        valid: true,
        schema_version: POLICY_SCHEMA_VERSION,
        input_schema_version: POLICY_SCHEMA_VERSION,
        output_contract: OUTPUT_CONTRACT,
        preview: checked.preview,
        warnings: checked.warnings,
      })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/policy-templates',
    operationId: 'listPolicyTemplates',
    tag,
    summary: 'List starting points for policy documents',
    access: 'read',
    permission: can('policy', 'policy-templates', 'list'),
    priority: 'P0',
    responses: { 200: v.array(template) },
    errors: [],
    handle: async () => ok(policyTemplates),
  }),
  route({
    method: 'GET',
    path: '/v1/policy-templates/{id}',
    operationId: 'getPolicyTemplate',
    tag,
    summary: 'Read one policy template',
    access: 'read',
    permission: can('policy', 'policy-templates', 'get'),
    priority: 'P2',
    responses: { 200: template },
    errors: ['policy_template_not_found'],
    handle: async (_control, call) =>
      ok(found(policyTemplates.find((entry) => entry.id === call.id) ?? null, 'policy_template_not_found')),
  }),
  route({
    method: 'GET',
    path,
    operationId: 'listPolicies',
    tag,
    summary: 'List policies',
    access: 'read',
    permission: can('policy', 'policies', 'list'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('Policy', policy) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listPolicies(db, call.zoneId, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createPolicy',
    tag,
    summary: 'Create a policy with its first version',
    access: 'write',
    permission: can('policy', 'policies', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ name: text(1, 200), description: v.optional(text(0, 2000)), content }),
    responses: {
      201: named(
        'CreatedPolicy',
        v.object({
          id: v.string(),
          version_id: v.string(),
          zone_id: v.string(),
          name: v.string(),
          description: v.nullable(v.string()),
          version: v.object({ id: v.string(), ...sealed }),
        }),
      ),
    },
    errors: ['invalid_body', 'zone_not_found', 'reserved_namespace', 'policy_name_conflict', 'invalid_rego'],
    handle: async (control, call) => {
      const made = await createPolicy(control, call, call.body)
      const { id, policy_id, version: number, content_sha256, schema_version, created_at } = made.version
      return created({
        id: made.policy.id,
        version_id: id,
        zone_id: made.policy.zone_id,
        name: made.policy.name,
        description: made.policy.description,
        version: { id, policy_id, version: number, content_sha256, schema_version, created_at },
      })
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getPolicy',
    tag,
    summary: 'Read a policy with its versions',
    access: 'read',
    permission: can('policy', 'policies', 'get'),
    priority: 'P0',
    responses: { 200: named('PolicyWithVersions', v.object({ ...base, versions: v.array(version) })) },
    errors: ['policy_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        const row = found(await findPolicy(db, call.zoneId, call.id), 'policy_not_found')
        return ok({ ...row, versions: await listPolicyVersions(db, row.id) })
      }),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/versions`,
    operationId: 'addPolicyVersion',
    tag,
    summary: 'Add a version to a policy',
    access: 'write',
    permission: can('policy', 'policies', 'update'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ content }),
    responses: {
      201: named('CreatedPolicyVersion', v.object({ version_id: v.string(), id: v.string(), ...sealed })),
    },
    errors: ['invalid_body', 'zone_not_found', 'policy_not_found', 'invalid_rego'],
    handle: async (control, call) => {
      const made = await addPolicyVersion(control, call, call.body.content)
      const { id, policy_id, version: number, content_sha256, schema_version, created_at } = made
      return created({
        version_id: id,
        id,
        policy_id,
        version: number,
        content_sha256,
        schema_version,
        created_at,
      })
    },
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archivePolicy',
    tag,
    summary: 'Archive a policy',
    access: 'write',
    permission: can('policy', 'policies', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['policy_not_found'],
    handle: async (control, call) => {
      await writing(control, call, async (tx) => {
        if (!(await archivePolicy(tx, call.zoneId, call.id, call.attribution)))
          throw notFound('policy_not_found')
      })
      return noContent
    },
  }),
]
