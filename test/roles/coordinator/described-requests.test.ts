/** What the coordinator's OpenAPI document describes, and what is beside it, never breaks it. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene, type Scene } from '../../acceptance/coordinator/scene.ts'
import { type Described, requestsOf } from '../../fixtures/described-requests.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene[Symbol.asyncDispose]())

test('no body, query or path gives a 5xx, as an application or as the operator', async () => {
  const described = (await scene.stage.call('GET', '/openapi.json')).body as unknown as Described
  const source = await scene.start()
  const target = await scene.start()
  const edge = await scene.delegate(source, target)
  const service = await scene.service()
  const invocation = (await scene.enqueue(service)).body.id as string
  const ids = [source, target, edge.id as string, service, invocation, 'nope', 'a%00b', '%ff']
  let asked = 0
  for (const [template, methods] of Object.entries(described.paths)) {
    if (!template.startsWith('/zones/')) continue
    for (const [method, operation] of Object.entries(methods)) {
      const property = fc.asyncProperty(
        requestsOf(described, operation),
        fc.constantFrom(...ids),
        fc.constantFrom(scene.ta, scene.tb, scene.op),
        async ({ raw, search }, id, bearer) => {
          const path = `${template.replace('{zoneId}', scene.stage.zone.zoneId).replace(/\{\w+\}/g, id)}${search}`
          const sent = raw === undefined || method === 'get' ? {} : { text: raw }
          const answer = await scene.stage.call(method.toUpperCase(), path, { bearer, ...sent })
          if (answer.status < 500) return
          throw new Error(
            `${method} ${path} ${raw?.slice(0, 500)} → ${answer.status} ${JSON.stringify(answer.body)}`,
          )
        },
      )
      await fc.assert(property, { numRuns: 25 })
      asked += 1
    }
  }
  expect(asked).toBeGreaterThan(20)
}, 240_000)
