/** Federated user issuers (control-api §7.14). The issuer name never changes; people federated before stay. */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import * as v from '../../../platform/schema.ts'
import { reading, writing } from '../control.ts'
import { found, notFound } from '../not-found.ts'
import { can, created, noContent, ok, route } from '../route.ts'
import {
  archiveSubjectIssuer,
  countSubjectIssuers,
  findSubjectIssuer,
  insertSubjectIssuer,
  listSubjectIssuers,
  updateSubjectIssuer,
} from '../store/subject-issuers.ts'
import { lockZone } from '../store/zones.ts'
import { pageQuery, text } from './inputs.ts'
import { attribution, named, pageOf } from './shapes.ts'

const MAX_PER_ZONE = 20

function isPlainHttps(value: string): boolean {
  try {
    const url = new URL(value)
    const bare = url.username === '' && url.password === '' && url.search === '' && url.hash === ''
    return url.protocol === 'https:' && bare
  } catch {
    return false
  }
}

const httpsUrl = v.pipe(
  text(1, 2048),
  v.check(isPlainHttps, 'must be an https URL without credentials, query or fragment'),
)
const audience = text(1, 512)

const issuer = named(
  'SubjectIssuer',
  v.object({
    id: v.string(),
    zone_id: v.string(),
    issuer: v.string(),
    jwks_url: v.string(),
    audience: v.string(),
    ...attribution,
  }),
)
const path = '/v1/zones/{zoneId}/subject-issuers'
const tag = 'Subject issuers'

export const subjectIssuerRoutes = [
  route({
    method: 'GET',
    path,
    operationId: 'listSubjectIssuers',
    tag,
    summary: 'List subject issuers',
    access: 'read',
    permission: can('core', 'subject-issuers', 'list'),
    priority: 'P1',
    query: pageQuery,
    responses: { 200: pageOf('SubjectIssuer', issuer) },
    errors: ['invalid_query', 'invalid_cursor'],
    handle: async (control, call) =>
      ok(await reading(control, call, (db) => listSubjectIssuers(db, call.zoneId, call.query))),
  }),
  route({
    method: 'POST',
    path,
    operationId: 'createSubjectIssuer',
    tag,
    summary: 'Accept the users of an issuer',
    access: 'write',
    permission: can('core', 'subject-issuers', 'create'),
    priority: 'P1',
    needsLiveZone: true,
    body: v.object({ issuer: httpsUrl, jwks_url: httpsUrl, audience }),
    invalid: 'invalid_subject_issuer',
    responses: { 201: issuer },
    errors: [
      'invalid_subject_issuer',
      'zone_not_found',
      'subject_issuer_limit_reached',
      'subject_issuer_exists',
    ],
    handle: async (control, call) =>
      writing(control, call, async (tx) => {
        // The zone row serialises creations, so the limit holds under concurrency.
        found(await lockZone(tx, call.zoneId), 'zone_not_found')
        if ((await countSubjectIssuers(tx, call.zoneId)) >= MAX_PER_ZONE) {
          throw errorOf('subject_issuer_limit_reached')
        }
        const row = await insertSubjectIssuer(
          tx,
          { id: uuidv7(), zone_id: call.zoneId, ...call.body },
          call.attribution,
        )
        if (row === null) throw errorOf('subject_issuer_exists')
        return created(row)
      }),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}`,
    operationId: 'getSubjectIssuer',
    tag,
    summary: 'Read a subject issuer',
    access: 'read',
    permission: can('core', 'subject-issuers', 'get'),
    priority: 'P1',
    responses: { 200: issuer },
    errors: ['subject_issuer_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await reading(control, call, (db) => findSubjectIssuer(db, call.zoneId, call.id)),
          'subject_issuer_not_found',
        ),
      ),
  }),
  route({
    method: 'PATCH',
    path: `${path}/{id}`,
    operationId: 'updateSubjectIssuer',
    tag,
    summary: 'Change where an issuer publishes its keys, or its audience',
    access: 'write',
    permission: can('core', 'subject-issuers', 'update'),
    priority: 'P1',
    body: v.object({ jwks_url: v.optional(httpsUrl), audience: v.optional(audience) }),
    invalid: 'invalid_subject_issuer',
    responses: { 200: issuer },
    errors: ['invalid_subject_issuer', 'subject_issuer_not_found'],
    handle: async (control, call) =>
      ok(
        found(
          await writing(control, call, (tx) =>
            updateSubjectIssuer(tx, call.zoneId, call.id, call.body, call.attribution),
          ),
          'subject_issuer_not_found',
        ),
      ),
  }),
  route({
    method: 'DELETE',
    path: `${path}/{id}`,
    operationId: 'archiveSubjectIssuer',
    tag,
    summary: 'Stop accepting new users of an issuer',
    access: 'write',
    permission: can('core', 'subject-issuers', 'delete'),
    priority: 'P1',
    responses: { 204: null },
    errors: ['subject_issuer_not_found'],
    handle: async (control, call) => {
      await writing(control, call, async (tx) => {
        if (!(await archiveSubjectIssuer(tx, call.zoneId, call.id, call.attribution))) {
          throw notFound('subject_issuer_not_found')
        }
      })
      return noContent
    },
  }),
]
