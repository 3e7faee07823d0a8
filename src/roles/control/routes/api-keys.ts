/** API keys (control-api §12.4). */
import * as v from '../../../platform/schema.ts'
import { createKey, revokeKey, rotateKey } from '../manage-keys.ts'
import { type Call, can, created, noContent, ok, type Route, route } from '../route.ts'
import { listApiKeys } from '../store/api-keys.ts'
import { type Base, listedZone, namedZone, zoneFor } from './iam-base.ts'
import { ruleInputs, ruleShape, toRule, zoneAliases, zoneFilters } from './iam-shapes.ts'
import { identifier, instant, pageEntries, trimmed } from './inputs.ts'
import { named, pageOf, timestamp } from './shapes.ts'

const keyBase = {
  id: v.string(),
  name: v.string(),
  prefix: v.string(),
  zone_id: v.nullable(v.string()),
  service_account_id: v.string(),
  rules: v.nullable(v.array(ruleShape)),
  expires_at: v.nullable(timestamp),
  last_used_at: v.nullable(timestamp),
  revoked_at: v.nullable(timestamp),
  previous_valid_until: v.nullable(timestamp),
  created_by: v.string(),
  created_at: timestamp,
}
const apiKey = named('ApiKey', v.object(keyBase))
const apiKeyWithSecret = named('ApiKeyWithSecret', v.object({ ...keyBase, key: v.string() }))

export function keyRoutes(base: Base, prefix: string, suffix: string): Route[] {
  const path = `${prefix}/api-keys`
  const tag = 'API keys'
  const zoneOf = (call: Call<unknown, unknown>) => zoneFor(base, call)
  return [
    route({
      method: 'GET',
      path,
      operationId: `listApiKeys${suffix}`,
      tag,
      summary: 'List API keys',
      access: 'read',
      permission: can('iam', 'api-keys', 'list'),
      priority: 'P1',
      query: v.object({
        ...pageEntries,
        service_account_id: v.optional(identifier),
        ...zoneFilters,
      }),
      responses: { 200: pageOf('ApiKey', apiKey) },
      errors: ['invalid_query', 'invalid_cursor'],
      handle: async (control, call) => {
        const zone = await listedZone(control, base, call)
        const { service_account_id } = call.query
        return ok(await listApiKeys(control.db, zone, { service_account_id }, call.query))
      },
    }),
    route({
      method: 'POST',
      path,
      operationId: `createApiKey${suffix}`,
      tag,
      summary: 'Create an API key; it is shown once',
      access: 'write',
      permission: can('iam', 'api-keys', 'create'),
      priority: 'P1',
      needsLiveZone: base === 'zone',
      body: v.strictObject({
        name: trimmed(1, 120),
        service_account_id: v.optional(identifier),
        expires_at: v.optional(instant),
        rules: v.optional(ruleInputs),
        ...zoneAliases,
      }),
      invalid: 'invalid_api_key_request',
      responses: { 201: apiKeyWithSecret },
      errors: [
        'invalid_api_key_request',
        'privilege_escalation',
        'service_account_not_found',
        'zone_not_found',
      ],
      handle: async (control, call) => {
        const { name, service_account_id, expires_at, rules } = call.body
        const zone_id = await namedZone(control, base, call.body, 'invalid_body')
        const input = { name, service_account_id, expires_at, zone_id, rules: rules?.map(toRule) }
        return created(await createKey(control, call, zoneOf(call), input))
      },
    }),
    route({
      method: 'POST',
      path: `${path}/{id}/rotate`,
      operationId: `rotateApiKey${suffix}`,
      tag,
      summary: 'Replace the secret of an API key',
      access: 'write',
      permission: can('iam', 'api-keys', 'rotate'),
      priority: 'P1',
      body: v.object({
        grace_seconds: v.optional(
          v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800)),
          86_400,
        ),
      }),
      bodyOptional: true,
      invalid: 'invalid_api_key_request',
      responses: { 200: apiKeyWithSecret },
      errors: ['invalid_api_key_request', 'privilege_escalation', 'api_key_not_found'],
      handle: async (control, call) =>
        ok(await rotateKey(control, call, zoneOf(call), call.body.grace_seconds)),
    }),
    route({
      method: 'DELETE',
      path: `${path}/{id}`,
      operationId: `revokeApiKey${suffix}`,
      tag,
      summary: 'Revoke an API key',
      access: 'write',
      permission: can('iam', 'api-keys', 'delete'),
      priority: 'P1',
      responses: { 204: null },
      errors: ['api_key_not_found'],
      handle: async (control, call) => {
        await revokeKey(control, call, zoneOf(call))
        return noContent
      },
    }),
  ]
}
