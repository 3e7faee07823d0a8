/** Policy sets: which policy versions decide in a zone (control-api §7.12). */
import * as v from '../../../platform/schema.ts'
import {
  activatePolicySet,
  addPolicySetVersion,
  createPolicySet,
  removePolicySet,
} from '../activate-policy-set.ts'
import { activationStatus } from '../activation-status.ts'
import { reading } from '../control.ts'
import { found } from '../not-found.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { simulatePolicySet } from '../simulate-policy-set.ts'
import { policyVersionsOf } from '../store/policies.ts'
import {
  findPolicySet,
  findPolicySetVersion,
  listPolicySets,
  listPolicySetVersions,
} from '../store/policy-sets.ts'
import { anyObject, identifier, pageQuery, text } from './inputs.ts'
import { versionShape } from './policies.ts'
import { anyJson, attribution, named, pageOf, timestamp } from './shapes.ts'

const policySet = named(
  'PolicySet',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    name: v.string(),
    description: v.nullable(v.string()),
    ...attribution,
    active_version_id: v.nullable(v.string()),
  }),
)
const versionBase = {
  id: v.string(),
  policy_set_id: v.string(),
  version: v.number(),
  manifest_sha256: v.string(),
  schema_version: v.string(),
  created_by: v.string(),
  created_via_operator: v.boolean(),
  created_at: timestamp,
}
const manifestEntry = v.object({ policy_version_id: identifier })

const path = '/v1/zones/{zoneId}/policy-sets'
const tag = 'Policy sets'

export const policySetRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listPolicySets',
    tag,
    summary: 'List policy sets',
    access: 'read',
    permission: can('policy', 'policy-sets', 'list'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('PolicySet', policySet) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listPolicySets(db, call.zoneId, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createPolicySet',
    tag,
    summary: 'Create a policy set',
    access: 'write',
    permission: can('policy', 'policy-sets', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ name: text(1, 200), description: v.optional(text(0, 2000)) }),
    responses: { 201: policySet },
    errors: ['invalid_body', 'zone_not_found', 'policy_set_name_conflict'],
    handle: async (control, call) => created(await createPolicySet(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getPolicySet',
    tag,
    summary: 'Read a policy set',
    access: 'read',
    permission: can('policy', 'policy-sets', 'get'),
    priority: 'P0',
    responses: { 200: policySet },
    errors: ['policy_set_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await reading(control, call, (db) => findPolicySet(db, call.zoneId, call.id)),
          'policy_set_not_found',
        ),
      ),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archivePolicySet',
    tag,
    summary: 'Archive a policy set; an active one leaves the zone denying everything',
    access: 'write',
    permission: can('policy', 'policy-sets', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['policy_set_not_found'],
    handle: async (control, call) => {
      await removePolicySet(control, call)
      return noContent
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/versions`,
    operationId: 'listPolicySetVersions',
    tag,
    summary: 'List the versions of a policy set',
    access: 'read',
    permission: can('policy', 'policy-sets', 'get'),
    priority: 'P0',
    query: pageQuery,
    responses: { 200: pageOf('PolicySetVersion', named('PolicySetVersion', v.object(versionBase))) },
    errors: ['invalid_query', 'invalid_cursor', 'policy_set_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        found(await findPolicySet(db, call.zoneId, call.id), 'policy_set_not_found')
        const page = await listPolicySetVersions(db, call.id, call.query)
        return ok({ ...page, items: page.items.map(({ manifest_json: _, ...row }) => row) })
      }),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/versions`,
    operationId: 'addPolicySetVersion',
    tag,
    summary: 'Seal a version of a policy set',
    access: 'write',
    permission: can('policy', 'policy-sets', 'update'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ manifest: v.pipe(v.array(manifestEntry), v.minLength(1), v.maxLength(256)) }),
    responses: {
      201: named(
        'CreatedPolicySetVersion',
        v.object({
          version_id: v.string(),
          id: v.string(),
          policy_set_id: v.string(),
          version: v.number(),
          manifest_sha256: v.string(),
          schema_version: v.string(),
          created_at: timestamp,
        }),
      ),
    },
    errors: [
      'invalid_body',
      'zone_not_found',
      'policy_set_not_found',
      'invalid_policy_contract',
      'invalid_policy_bundle',
    ],
    handle: async (control, call) => {
      const row = await addPolicySetVersion(control, call, call.body.manifest)
      const { id, policy_set_id, version, manifest_sha256, schema_version, created_at } = row
      return created({
        version_id: id,
        id,
        policy_set_id,
        version,
        manifest_sha256,
        schema_version,
        created_at,
      })
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/versions/{versionId}`,
    operationId: 'getPolicySetVersion',
    tag,
    summary: 'Read a version with its manifest',
    access: 'read',
    permission: can('policy', 'policy-sets', 'get'),
    priority: 'P0',
    responses: {
      200: named(
        'PolicySetVersionWithManifest',
        v.object({ ...versionBase, manifest_json: v.array(manifestEntry), policies: v.array(v.string()) }),
      ),
    },
    errors: ['policy_set_version_not_found'],
    handle: async (control, call) => {
      const versionId = call.params.versionId ?? ''
      const row = found(
        await reading(control, call, (db) => findPolicySetVersion(db, call.zoneId, call.id, versionId)),
        'policy_set_version_not_found',
      )
      return ok({ ...row, policies: row.manifest_json.map((entry) => entry.policy_version_id) })
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/versions/{versionId}/documents`,
    operationId: 'getPolicySetVersionDocuments',
    tag,
    summary: 'Read the policies a version is made of, also after they or their set were archived',
    access: 'read',
    permission: can('policy', 'policies', 'get'),
    priority: 'P1',
    responses: {
      200: v.array(named('PolicyDocument', v.object({ ...versionShape, policy_name: v.string() }))),
    },
    errors: ['policy_set_version_not_found'],
    handle: async (control, call) =>
      reading(control, call, async (db) => {
        const row = await findPolicySetVersion(db, call.zoneId, call.id, call.params.versionId ?? '')
        const { manifest_json } = found(row, 'policy_set_version_not_found')
        const ids = manifest_json.map((entry) => entry.policy_version_id)
        return ok(await policyVersionsOf(db, call.zoneId, ids))
      }),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/activate`,
    operationId: 'activatePolicySet',
    tag,
    summary: 'Make a version the one that decides in the zone',
    access: 'write',
    permission: can('policy', 'policy-sets', 'activate'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.object({ version_id: identifier }),
    responses: {
      202: named(
        'Activation',
        v.object({
          activated: v.literal(true),
          version_id: v.string(),
          outbox_id: v.string(),
          status_url: v.string(),
        }),
      ),
    },
    errors: [
      'invalid_body',
      'zone_not_found',
      'version_not_found',
      'policy_set_binding_not_found',
      'referenced_policy_version_missing',
      'invalid_policy_contract',
      'invalid_policy_bundle',
    ],
    handle: async (control, call) => {
      const versionId = call.body.version_id
      const { outboxId } = await activatePolicySet(control, call, versionId)
      const query = new URLSearchParams({ version_id: versionId, outbox_id: outboxId })
      return {
        status: 202,
        body: {
          activated: true,
          version_id: versionId,
          outbox_id: outboxId,
          status_url: `/v1/zones/${call.zoneId}/policy-sets/${call.id}/activation-status?${query}`,
        },
      }
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/activation-status`,
    operationId: 'getActivationStatus',
    tag,
    summary: 'Follow an activation until the STS has loaded it',
    access: 'read',
    permission: can('policy', 'policy-sets/activation', 'get'),
    priority: 'P0',
    query: v.object({ version_id: v.optional(identifier), outbox_id: v.optional(identifier) }),
    invalid: 'invalid_body',
    responses: {
      200: named(
        'ActivationStatus',
        v.object({
          zone_id: v.string(),
          policy_set_id: v.string(),
          version_id: v.string(),
          active: v.boolean(),
          active_version_id: v.nullable(v.string()),
          manifest_sha256: v.string(),
          propagation_status: v.picklist([
            'waiting_for_activation',
            'waiting_for_outbox',
            'waiting_for_sts',
            'loaded',
            'failed',
          ]),
          outbox: anyJson,
          sts: anyJson,
        }),
      ),
    },
    errors: ['invalid_body', 'policy_set_binding_not_found', 'active_policy_set_version_not_found'],
    handle: async (control, call) => ok(await activationStatus(control, call, call.query)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/simulate`,
    operationId: 'simulatePolicySet',
    tag,
    summary: 'Decide an input with a version, without activating it',
    access: 'write',
    permission: can('policy', 'policy-sets', 'simulate'),
    priority: 'P0',
    body: v.object({ version_id: identifier, input: v.optional(anyObject) }),
    responses: {
      200: named(
        'Simulation',
        v.object({
          dry_run: v.literal(true),
          would_activate: v.boolean(),
          policy_set_id: v.string(),
          version_id: v.string(),
          schema_version: v.string(),
          input_schema_version: v.string(),
          manifest_sha256: v.string(),
          policies: v.array(v.string()),
          warnings: v.array(v.string()),
          explanation: anyJson,
          result: v.nullable(anyJson),
        }),
      ),
    },
    errors: ['invalid_body', 'version_not_found', 'invalid_policy_contract', 'invalid_policy_bundle'],
    handle: async (control, call) => ok(await simulatePolicySet(control, call, call.body)),
  }),
]
