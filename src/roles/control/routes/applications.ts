/** Applications: who may ask for mandates (control-api §7.5). Their id is the `client_id` at the STS. */
import type { ErrorCode } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { changeApplication, removeApplication, rotateApplicationSecret } from '../change-application.ts'
import { reading } from '../control.ts'
import { type CreatedApplication, createApplication, registerApplication } from '../create-application.ts'
import { found } from '../not-found.ts'
import type { Principal } from '../principal.ts'
import { revealClientSecret } from '../reveal-secret.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import { type Application, findApplication, listApplications } from '../store/applications.ts'
import { statusPageQuery, trimmed } from './inputs.ts'
import { attribution, named, pageOf, timestamp } from './shapes.ts'

const base = {
  id: v.string(),
  zone_id: v.string(),
  name: v.string(),
  registration_method: v.picklist(['managed', 'dcr']),
  expires_at: v.nullable(timestamp),
  ...attribution,
}
const application = named(
  'Application',
  v.object({ ...base, traits: v.optional(v.array(v.string())), archived_at: v.nullable(timestamp) }),
)
const withSecret = named('ApplicationWithSecret', v.object({ ...base, client_secret: v.string() }))

/** Traits are shown to global actors only (control-api §3.4). */
function visible(row: Application, principal: Principal): Omit<Application, 'traits'> {
  if (principal.seesEverything) return row
  const { traits: _, ...rest } = row
  return rest
}

function secretReply({ application: row, clientSecret }: CreatedApplication) {
  const { traits: _, archived_at: __, ...rest } = row
  return { ...rest, client_secret: clientSecret }
}

/** How many there may be is said with the other rules of traits, which are 403. */
const traits = v.array(v.string())
const path = '/v1/zones/{zoneId}/applications'
const tag = 'Applications'
const secretErrors: readonly ErrorCode[] = ['application_not_found', 'secret_backend_unavailable']

export const applicationRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listApplications',
    tag,
    summary: 'List applications',
    access: 'read',
    permission: can('core', 'applications', 'list'),
    priority: 'P0',
    query: statusPageQuery,
    responses: { 200: pageOf('Application', application) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) => {
      const page = await reading(control, call, (db) =>
        listApplications(db, call.zoneId, call.query.status, call.query),
      )
      return ok({ ...page, items: page.items.map((row) => visible(row, call.principal)) })
    },
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createApplication',
    tag,
    summary: 'Create a managed application',
    access: 'write',
    permission: can('core', 'applications', 'create'),
    priority: 'P0',
    needsLiveZone: true,
    body: v.strictObject({
      name: trimmed(1, 200),
      registration_method: v.literal('managed'),
      traits: v.optional(traits),
    }),
    invalid: 'invalid_application',
    responses: { 201: withSecret },
    errors: [
      'invalid_application',
      'zone_not_found',
      'trait_count_exceeded',
      'trait_invalid',
      'trait_duplicate',
      'trait_forbidden',
      'reserved_namespace',
      'application_name_taken',
      'secret_backend_unavailable',
    ],
    handle: async (control, call) => created(secretReply(await createApplication(control, call, call.body))),
  }),
  route({
    method: 'POST',
    path: `${path}/dcr`,
    operationId: 'registerApplication',
    tag,
    summary: 'Register a short-lived application',
    access: 'write',
    permission: can('core', 'applications/dcr', 'create'),
    priority: 'P1',
    body: v.strictObject({
      name: trimmed(1, 200),
      expires_in: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3600)), 3600),
    }),
    invalid: 'invalid_application',
    responses: { 201: withSecret },
    errors: [
      'invalid_application',
      'dcr_disabled',
      'zone_not_found',
      'reserved_namespace',
      'dcr_rate_limit_exceeded',
      'dcr_limit_exceeded',
    ],
    handle: async (control, call) =>
      created(secretReply(await registerApplication(control, call, call.body))),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getApplication',
    tag,
    summary: 'Read an application',
    access: 'read',
    permission: can('core', 'applications', 'get'),
    priority: 'P0',
    responses: { 200: application },
    errors: ['application_not_found'],
    handle: async (control, call) => {
      const row = await reading(control, call, (db) => findApplication(db, call.zoneId, call.id))
      return ok(visible(found(row, 'application_not_found'), call.principal))
    },
  }),
  route({
    method: 'PATCH',
    path: `${path}/{id}`,
    operationId: 'updateApplication',
    tag,
    summary: 'Change an application',
    access: 'write',
    permission: can('core', 'applications', 'update'),
    priority: 'P0',
    body: v.strictObject({
      name: v.optional(trimmed(1, 200)),
      client_secret: v.optional(v.pipe(v.string(), v.minLength(32), v.maxLength(4096))),
      traits: v.optional(traits),
    }),
    invalid: 'invalid_application',
    responses: { 200: application },
    errors: [
      'invalid_application',
      'no_fields',
      'client_secret_not_configured',
      'trait_count_exceeded',
      'trait_invalid',
      'trait_duplicate',
      'trait_forbidden',
      'application_not_found',
      'reserved_namespace',
      'application_name_taken',
      'secret_backend_unavailable',
    ],
    handle: async (control, call) =>
      ok(visible(await changeApplication(control, call, call.body), call.principal)),
  }),
  route({
    method: 'POST',
    path: `${path}/{id}/rotate-secret`,
    operationId: 'rotateApplicationSecret',
    tag,
    summary: 'Replace the client secret',
    access: 'write',
    permission: can('core', 'applications', 'rotate'),
    priority: 'P0',
    responses: { 200: withSecret },
    errors: [...secretErrors, 'client_secret_not_configured'],
    handle: async (control, call) => ok(secretReply(await rotateApplicationSecret(control, call))),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/client-secret`,
    operationId: 'revealClientSecret',
    tag,
    summary: 'Show the custody copy of the client secret',
    access: 'write',
    permission: can('core', 'applications/client-secret', 'reveal'),
    priority: 'P0',
    responses: { 200: named('ClientSecret', v.object({ client_secret: v.string() })) },
    errors: [...secretErrors, 'client_secret_not_stored'],
    handle: async (control, call) => ok({ client_secret: await revealClientSecret(control, call) }),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archiveApplication',
    tag,
    summary: 'Archive an application',
    access: 'write',
    permission: can('core', 'applications', 'delete'),
    priority: 'P0',
    responses: { 204: null },
    errors: ['application_not_found'],
    handle: async (control, call) => {
      await removeApplication(control, call)
      return noContent
    },
  }),
]
