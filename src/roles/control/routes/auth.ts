/** Logging in and out, and who one is (control-api §12.3). */
import { publicJwkEntries } from '../../../platform/jose/public-jwk.ts'
import * as v from '../../../platform/schema.ts'
import { logIn, logOut } from '../login.ts'
import { equivalentRole } from '../rbac/built-in-roles.ts'
import { rotateLoginKey } from '../rotate-login-key.ts'
import { can, noContent, ok, route } from '../route.ts'
import { ruleShape } from './iam-shapes.ts'
import { text } from './inputs.ts'
import { named } from './shapes.ts'

const principal = v.object({
  kind: v.picklist(['admin_token', 'service_account', 'api_key', 'console']),
  id: v.string(),
  name: v.string(),
  zone_id: v.nullable(v.string()),
})
const tag = 'Authentication'

const publicKey = v.object(publicJwkEntries)

export const authRoutes = [
  route({
    method: 'POST',
    path: '/v1/auth/login',
    operationId: 'logIn',
    tag,
    summary: 'Log a service account in',
    access: 'public',
    permission: null,
    priority: 'P1',
    body: v.strictObject({
      username: text(1, 128),
      password: text(1, 256),
      ttl_seconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(60), v.maxValue(86_400)), 3600),
    }),
    invalid: 'invalid_login',
    responses: {
      200: named(
        'Login',
        v.object({
          access_token: v.string(),
          token_type: v.literal('Bearer'),
          expires_in: v.number(),
          principal,
        }),
      ),
    },
    errors: ['invalid_login', 'invalid_credentials', 'service_unconfigured'],
    handle: async (control, call) => ok(await logIn(control, call, call.body)),
  }),
  route({
    method: 'GET',
    path: '/v1/auth/me',
    operationId: 'getSelf',
    tag,
    summary: 'Who the credential belongs to and what it may do',
    access: 'read',
    permission: null,
    priority: 'P1',
    responses: {
      200: named(
        'Self',
        v.object({
          principal,
          zone_id: v.nullable(v.string()),
          roles: v.array(v.object({ role: v.string(), zone_id: v.nullable(v.string()) })),
          permissions: v.array(ruleShape),
        }),
      ),
    },
    errors: [],
    handle: async (_control, call) => {
      const self = call.principal
      const { kind, id, name, zoneId } = self
      const equivalent = self.bindings === null ? equivalentRole(self) : null
      return ok({
        principal: { kind, id, name, zone_id: zoneId },
        zone_id: zoneId,
        roles:
          equivalent === null
            ? (self.bindings ?? []).map((binding) => ({ role: binding.roleName, zone_id: binding.zoneId }))
            : [{ role: equivalent.name, zone_id: zoneId }],
        permissions: equivalent?.rules ?? (self.bindings ?? []).flatMap((binding) => binding.rules),
      })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/auth/keys',
    operationId: 'listLoginKeys',
    tag,
    summary: 'The public keys that verify login tokens, the one that signs first',
    access: 'public',
    permission: null,
    priority: 'P1',
    responses: { 200: named('LoginKeys', v.object({ keys: v.array(publicKey) })) },
    errors: [],
    handle: async (control) => ok({ keys: await control.tokens.published() }),
  }),
  route({
    method: 'POST',
    path: '/v1/auth/keys/rotate',
    operationId: 'rotateLoginKey',
    tag,
    summary: 'Sign login tokens with a new key',
    access: 'write',
    permission: can('platform', 'login-keys', 'rotate'),
    priority: 'P1',
    query: v.object({ immediate: v.optional(v.picklist(['true', 'false']), 'false') }),
    responses: { 200: named('RotatedLoginKey', v.object({ rotated: v.literal(true), kid: v.string() })) },
    errors: ['invalid_query', 'service_unconfigured'],
    handle: async (control, call) => ok(await rotateLoginKey(control, call, call.query.immediate === 'true')),
  }),
  route({
    method: 'POST',
    path: '/v1/auth/logout',
    operationId: 'logOut',
    tag,
    summary: 'End the presented login token',
    access: 'read',
    permission: null,
    priority: 'P1',
    responses: { 204: null },
    errors: [],
    handle: async (control, call) => {
      await logOut(control, call)
      return noContent
    },
  }),
]
