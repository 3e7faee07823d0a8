import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEgressGuard } from '../../../src/platform/egress/guarded-fetch.ts'
import { honoPath } from '../../../src/platform/http/operation.ts'
import { managementDocument } from '../../../src/roles/control/openapi.ts'
import { managementRoutes } from '../../../src/roles/control/routes/index.ts'
import { type Described, type DescribedOperation, requestsOf } from '../../fixtures/described-requests.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const described = managementDocument(managementRoutes, {
  version: 'test',
  serverUrl: '/',
}) as unknown as Described

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

describe('a request made from the document never breaks the server', () => {
  test('57: no body, query or path, of the described shapes or beside them, gives a 5xx', async () => {
    // Dials nowhere: probes and discovery would leave the machine.
    await using egress = createEgressGuard({ privateHosts: [], extraCaFile: null, allows: () => false })
    await using own = await createStage({ egress })
    const zone = await own.zone('Fuzz')
    const parent = `/v1/zones/${zone}`
    const provider = (await own.send('POST', `${parent}/providers`, { name: 'n', kind: 'none' })).body.id
    const app = (
      await own.send('POST', `${parent}/applications`, { name: 'a', registration_method: 'managed' })
    ).body.id
    const ids = [zone, provider, app, 'nope', 'a%00b', '%ff', 'a:b.c-d_e']
    for (const route of managementRoutes) {
      const operation = described.paths[route.path]?.[route.method.toLowerCase()] as DescribedOperation
      // The zone that the other requests go to stays.
      const ends = route.operationId === 'archiveZone'
      const property = fc.asyncProperty(
        requestsOf(described, operation),
        fc.constantFrom(...(ends ? ids.slice(3) : ids)),
        async ({ raw, search }, id) => {
          const at = ends ? route.path : route.path.replace('{zoneId}', zone)
          const path = `${at.replace(/\{\w+\}/g, id)}${search}`
          const answer = await own.send(
            route.method,
            path,
            undefined,
            raw === undefined || route.method === 'GET' ? {} : { raw },
          )
          if (answer.status < 500) return
          throw new Error(
            `${route.operationId} ${path} ${raw?.slice(0, 500)} → ${answer.status} ${answer.text}`,
          )
        },
      )
      await fc.assert(property, { numRuns: 12 })
    }
  }, 240_000)
})
