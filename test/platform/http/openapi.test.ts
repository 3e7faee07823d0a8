import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { controlErrors } from '../../../src/platform/http/error-style.ts'
import { pageOf, pageQuery, pageSchema } from '../../../src/platform/http/list-envelope.ts'
import { errorEnvelopeSchema, openApiDocument } from '../../../src/platform/http/openapi.ts'
import { mountOperation, type OperationEntry, routeInventory } from '../../../src/platform/http/operation.ts'
import { renderError, toCaracalError } from '../../../src/platform/http/render-error.ts'
import { createRequestContext } from '../../../src/platform/http/request-context.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import * as v from '../../../src/platform/schema.ts'

const { log } = createLogger({
  level: 'fatal',
  env: 'test',
  version: '0',
  maxFieldBytes: 0,
  sampleDebug: 1,
  destination: { write: () => {} },
})

const zone = v.pipe(v.object({ id: v.string(), name: v.string() }), v.metadata({ ref: 'Zone' }))

function surface() {
  const app = new Hono()
  app.use((c, next) => {
    c.set('requestContext', createRequestContext({ requestId: 'r', trace: null, clientIp: '', log }))
    return next()
  })
  app.onError((error, c) => renderError(c, toCaracalError(error), controlErrors))
  const entries: OperationEntry[] = [
    mountOperation(app, {
      method: 'GET',
      path: '/v1/zones',
      operationId: 'listZones',
      tag: 'Zones',
      summary: 'List zones',
      security: ['adminToken'],
      query: v.object({ ...pageQuery({ defaultLimit: 200, maxLimit: 500 }), slug: v.optional(v.string()) }),
      responses: { 200: pageSchema(zone) },
      alsoAnswers: ['text/csv'],
      errors: ['invalid_query', 'invalid_cursor', 'rate_limited'],
      extensions: { 'x-caracal-priority': 'P0' },
      handle: ({ c, query }) =>
        c.json(pageOf([{ id: 'z', name: query.slug ?? '' }], query.limit, ({ id }) => id)),
    }),
    mountOperation(app, {
      method: 'PATCH',
      path: '/v1/zones/{zoneId}',
      operationId: 'updateZone',
      tag: 'Zones',
      summary: 'Change a zone',
      security: ['adminToken'],
      body: v.strictObject({
        name: v.pipe(
          v.string(),
          v.trim(),
          v.minLength(1),
          v.check((name) => name !== 'x', 'must not be x'),
        ),
      }),
      invalidBody: 'invalid_zone',
      responses: { 200: zone, 204: null },
      errors: ['zone_not_found', 'zone_mismatch'],
      errorStatus: { zone_mismatch: 409 },
      handle: ({ c, params, body }) => c.json({ id: params.zoneId, name: body.name }),
    }),
  ]
  return { app, entries }
}

const options = {
  title: 'Caracal API',
  version: '2.0.0',
  servers: ['/'],
  securitySchemes: { adminToken: { type: 'http', scheme: 'bearer' } },
  errorSchema: errorEnvelopeSchema,
}

describe('operations', () => {
  test('one declaration parses, answers and refuses', async () => {
    const { app } = surface()
    expect(await (await app.request('/v1/zones?slug=s&limit=5')).json()).toEqual({
      items: [{ id: 'z', name: 's' }],
      next_cursor: null,
    })
    const json = { method: 'PATCH', headers: { 'content-type': 'application/json' } }
    expect(await (await app.request('/v1/zones/z1', { ...json, body: '{"name":" n "}' })).json()).toEqual({
      id: 'z1',
      name: 'n',
    })
    expect(await (await app.request('/v1/zones/z1', { ...json, body: '{"name":"x"}' })).json()).toMatchObject(
      {
        error: 'invalid_zone',
        details: { issues: [{ path: ['name'], message: 'must not be x' }] },
      },
    )
    expect((await app.request('/v1/zones/a%20b', { ...json, body: '{"name":"n"}' })).status).toBe(400)
  })

  test('the inventory names what is missing on either side', () => {
    const { app, entries } = surface()
    app.get('/health', (c) => c.body(null))
    app.post('/v1/secret', (c) => c.body(null))
    expect(routeInventory(app, entries, (path) => path === '/health')).toEqual({
      undocumented: ['POST /v1/secret'],
      unregistered: [],
    })
    expect(routeInventory(app, [{ method: 'GET', path: '/v1/x/{id}' }]).unregistered).toEqual([
      'GET /v1/x/:id',
    ])
  })
})

describe('the document', () => {
  test('is 3.1 with parameters, bodies, shared components and error codes by status', () => {
    const document = openApiDocument(surface().entries, options) as {
      openapi: string
      paths: Record<string, Record<string, Record<string, unknown>>>
      components: { schemas: Record<string, unknown> }
    }
    expect(document.openapi).toBe('3.1.0')
    const list = document.paths['/v1/zones']?.get
    expect(list?.parameters).toEqual([
      {
        name: 'limit',
        in: 'query',
        required: false,
        schema: { type: 'integer', minimum: 1, maximum: 500, default: 200 },
      },
      {
        name: 'cursor',
        in: 'query',
        required: false,
        schema: { type: 'string', minLength: 1, maxLength: 512 },
      },
      { name: 'slug', in: 'query', required: false, schema: { type: 'string' } },
    ])
    expect(list?.['x-caracal-priority']).toBe('P0')
    expect(list?.responses).toMatchObject({
      200: {
        content: {
          'application/json': {
            schema: { properties: { items: { items: { $ref: '#/components/schemas/Zone' } } } },
          },
          'text/csv': {},
        },
      },
      400: { description: 'invalid_cursor, invalid_query' },
      429: { description: 'rate_limited' },
    })
    const change = document.paths['/v1/zones/{zoneId}']?.patch
    expect(change?.parameters).toMatchObject([{ name: 'zoneId', in: 'path', required: true }])
    expect(change?.requestBody).toMatchObject({
      required: true,
      content: {
        'application/json': {
          schema: {
            properties: { name: { type: 'string', minLength: 1, 'x-caracal-constraint': 'must not be x' } },
            additionalProperties: false,
          },
        },
      },
    })
    expect(change?.responses).toMatchObject({ 204: { description: 'Done' }, 404: {}, 409: {} })
    expect(Object.keys(document.components.schemas)).toEqual(['Error', 'Zone'])
  })

  const entry: OperationEntry = {
    method: 'GET',
    path: '/x',
    operationId: 'x',
    tag: 'X',
    summary: 'X',
    security: [],
    responses: {},
    errors: [],
  }

  test.each<[string, readonly OperationEntry[], RegExp]>([
    ['a schema without a JSON form', [{ ...entry, body: v.instance(Date) }], /instance/],
    ['an undeclared security scheme', [{ ...entry, security: ['other'] }], /other/],
    ['a repeated operation id', [entry, { ...entry, path: '/y' }], /twice/],
    [
      'one name for two schemas',
      [
        { ...entry, responses: { 200: v.pipe(v.string(), v.metadata({ ref: 'A' })) } },
        {
          ...entry,
          operationId: 'y',
          path: '/y',
          responses: { 200: v.pipe(v.number(), v.metadata({ ref: 'A' })) },
        },
      ],
      /named A/,
    ],
  ])('%s fails instead of being left out', (_name, entries, message) => {
    expect(() => openApiDocument(entries, options)).toThrow(message)
  })
})
