import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { honoPath } from '../../../src/roles/control/http.ts'
import { openApiDocument } from '../../../src/roles/control/openapi.ts'
import { managementRoutes } from '../../../src/roles/control/routes/index.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

type Json = Record<string, unknown>
interface Operation {
  readonly parameters: readonly { name: string; in: string; schema: Json }[]
  readonly requestBody?: { content: { 'application/json': { schema: Json } } }
  readonly responses: Record<string, Json>
  readonly [key: string]: unknown
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, Json> }
}

const described = openApiDocument(managementRoutes, {
  version: 'test',
  serverUrl: '/',
}) as unknown as Document

/** Every route the app answers under `/v1`, the credential gate and other surfaces left out. */
function registered(): Set<string> {
  return new Set(
    stage.control.app.routes
      .filter((route) => route.method !== 'ALL' && route.path.startsWith('/v1/') && !route.path.includes('*'))
      .map((route) => `${route.method} ${route.path}`),
  )
}

describe('the OpenAPI document', () => {
  test('57: has exactly the registered routes, each with permission, schemas and errors', () => {
    const known = new Set(['GET /v1/openapi.json', 'POST /v1/control/invoke'])
    const inApp = [...registered()].filter((route) => !known.has(route)).sort()
    const declared = managementRoutes.map((route) => `${route.method} ${honoPath(route.path)}`).sort()
    expect(inApp).toEqual(declared)
    expect(new Set(managementRoutes.map((route) => route.operationId)).size).toBe(managementRoutes.length)
    for (const route of managementRoutes) {
      const operation = described.paths[route.path]?.[route.method.toLowerCase()]
      expect(operation, route.operationId).toBeDefined()
      if (operation === undefined) continue
      const personal = route.path.startsWith('/v1/auth/') || route.access === 'public'
      if (!personal) expect(operation['x-caracal-rbac'], route.operationId).toBeDefined()
      expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true)
      expect(Object.keys(operation.responses).some((status) => status.startsWith('4'))).toBe(true)
      if (route.body !== null) expect(operation.requestBody, route.operationId).toBeDefined()
    }
  })

  test('57: is served in 3.1.0, refers only to what it has, and closes strict bodies', async () => {
    const served = await stage.send('GET', '/v1/openapi.json', undefined, { token: null })
    expect(served.status).toBe(200)
    expect(served.body.openapi).toBe('3.1.0')
    const text = JSON.stringify(served.body)
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(served.body.components.schemas[name ?? '']).toBeDefined()
    }
    const body = served.body.paths['/v1/zones'].post.requestBody.content['application/json'].schema
    expect(body.additionalProperties).toBe(false)
  })

  test('the page /docs shows every operation and is off where the setting says so', async () => {
    const page = await stage.send('GET', '/docs', undefined, { token: null })
    expect(page.headers.get('content-type')).toContain('text/html')
    for (const route of managementRoutes) expect(page.text).toContain(`id="${route.operationId}"`)
    const { send } = await stage.replica({ API_ENABLE_DOCS: false })
    expect((await send('GET', '/docs', undefined, { token: null })).status).toBe(404)
    expect((await send('GET', '/openapi.json', undefined, { token: null })).status).toBe(200)
  })
})

/** Values a schema allows, and now and then ones it does not. */
function arbitraryOf(schema: Json, depth = 0): fc.Arbitrary<unknown> {
  if (typeof schema.$ref === 'string') {
    return arbitraryOf(described.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}, depth)
  }
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
  const choices = (schema.anyOf ?? schema.oneOf) as Json[] | undefined
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => arbitraryOf(choice, depth)))
  switch (schema.type) {
    case 'string':
      return textOf(schema)
    case 'integer':
      return fc.integer({ min: Number(schema.minimum ?? -5), max: Number(schema.maximum ?? 100_000) })
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(arbitraryOf((schema.items ?? {}) as Json, depth + 1), {
        minLength: Math.min(Number(schema.minItems ?? 0), 3),
        maxLength: 3,
      })
    case 'object':
      return objectOf(schema, depth)
    default:
      return fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>
  }
}

const known = [
  'https://example.test/x',
  'http://upstream.test',
  'resource://x',
  'provider://x',
  'caracal-control',
  '# caracal:data-document\npackage caracal.authz\napp_ids := {"a": "b"}\n',
  'control:invoke',
  '2026-01-01T00:00:00Z',
]

function textOf(schema: Json): fc.Arbitrary<string> {
  const maxLength = Math.min(Number(schema.maxLength ?? 60), 60)
  const minLength = Math.min(Number(schema.minLength ?? 0), maxLength)
  const plain = fc.string({ minLength, maxLength, unit: 'grapheme' })
  const odd = fc.constantFrom('\u0000', '\ud800', '\u202e', "'; drop table zones; --", '%', '..', ' ', '\r\n')
  const pattern = typeof schema.pattern === 'string' ? schema.pattern : null
  const matching = pattern === null ? plain : safeMatching(pattern)
  return fc.oneof(
    { arbitrary: matching, weight: 6 },
    { arbitrary: fc.constantFrom(...known), weight: 3 },
    { arbitrary: odd, weight: 1 },
  )
}

function safeMatching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern))
  } catch {
    return fc.string()
  }
}

function objectOf(schema: Json, depth: number): fc.Arbitrary<unknown> {
  const properties = (schema.properties ?? {}) as Record<string, Json>
  const required = (schema.required ?? []) as string[]
  if (Object.keys(properties).length === 0)
    return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 })
  const members = Object.fromEntries(
    Object.entries(properties).map(([name, member]) => [name, arbitraryOf(member, depth + 1)]),
  )
  return fc.record(members, { requiredKeys: required }) as fc.Arbitrary<unknown>
}

/** Dials nowhere: probes and discovery would leave the machine. */
const dialling = new Set(['discoverIssuer', 'testProvider', 'testResource'])

describe('a request made from the document never breaks the server', () => {
  test('no body, query or path of the described shapes gives a 5xx', async () => {
    const zone = await stage.zone('Fuzz')
    const parent = `/v1/zones/${zone}`
    const provider = (await stage.send('POST', `${parent}/providers`, { name: 'n', kind: 'none' })).body.id
    const app = (
      await stage.send('POST', `${parent}/applications`, { name: 'a', registration_method: 'managed' })
    ).body.id
    const ids = [zone, provider, app, 'nope', 'a%00b', '%ff', 'a:b.c-d_e']
    for (const route of managementRoutes) {
      if (dialling.has(route.operationId) || route.operationId === 'archiveZone') continue
      const operation = described.paths[route.path]?.[route.method.toLowerCase()] as Operation
      const schema = operation.requestBody?.content['application/json'].schema
      const query = operation.parameters.filter((parameter) => parameter.in === 'query')
      const property = fc.asyncProperty(
        schema === undefined
          ? fc.constant(undefined)
          : fc.oneof(
              { arbitrary: arbitraryOf(schema), weight: 5 },
              { arbitrary: fc.jsonValue({ maxDepth: 2 }), weight: 1 },
            ),
        fc.record(Object.fromEntries(query.map(({ name, schema: shape }) => [name, arbitraryOf(shape)])), {
          requiredKeys: [],
        }),
        fc.constantFrom(...ids),
        async (body, values, id) => {
          const path = route.path.replace('{zoneId}', zone).replace(/\{\w+\}/g, id)
          const search = new URLSearchParams(
            Object.entries(values as Record<string, unknown>).map(([name, value]): [string, string] => [
              name,
              String(value),
            ]),
          )
          const answer = await stage.send(route.method, `${path}?${search}`, body)
          if (answer.status >= 500) {
            throw new Error(`${route.operationId} ${path}?${search} ${JSON.stringify(body)} → ${answer.text}`)
          }
        },
      )
      await fc.assert(property, { numRuns: 10 })
    }
  }, 180_000)
})
