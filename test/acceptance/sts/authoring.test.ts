/** sts §18, check 42: the authoring codes over HTTP, from the cases the pure engine is tested with. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { activatePolicy, grantsDocument, seedApplication } from '../../fixtures/zone.ts'
import { readCases } from '../../policy/cases.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { createWorld, token, type World } from '../../roles/sts/world.ts'

interface Cases {
  readonly cases: readonly { readonly name: string; readonly content: string; readonly code?: string }[]
}

describe('42: a document is refused by the first rule it breaks', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await createStage()
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  const head = '# caracal:data-document\npackage caracal.authz\n'
  const tooLarge = { name: 'one character too many', content: `${head}#`.padEnd(262_145, 'x') }
  // No content at all is refused by the route's schema before it is a document.
  const documents = readCases<Cases>('validate').cases.filter(({ content }) => content !== '')
  const cases = [...documents, { ...tooLarge, code: 'content_too_large' }]

  test('every code over HTTP, the ones about syntax with line and column', async () => {
    for (const { name, content, code } of cases) {
      const answer = await stage.send('POST', '/v1/policies/validate', { content })
      const told = answer.status === 200 ? undefined : answer.body.error_description
      expect([name, answer.status, told]).toEqual([name, code === undefined ? 200 : 422, code])
      if (code !== undefined) expect(answer.body).toMatchObject({ valid: false, error: 'invalid_rego' })
    }
    const codes = new Set(cases.map(({ code }) => code?.split(':')[0]))
    expect(codes.size).toBe(14)
  })
})

describe('42: a conditional restriction', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('reaches the principal it names and nobody else', async () => {
    const { zoneId, application, resource } = world.zone
    const other = await seedApplication(world.db, world.hasher, zoneId)
    const grant = (id: string) => ({ application: id, roles: { [id]: ['nucleus:pay'] } })
    const lifecycle = (id: string, secret: string) =>
      token(world, { scope: 'agent:lifecycle', application_id: id, client_secret: secret })
    const named = application.id
    await activatePolicy(world.db, zoneId, [
      grantsDocument({ app_ids: { [named]: named }, grants: { [resource.identifier]: grant(named) } }),
      `# caracal:data-document\npackage caracal.authz\nimport rego.v1\nrestrict contains "x" if { input.principal.id == "${other.id}" }\n`,
    ])
    expect((await lifecycle(named, application.secret)).status).toBe(200)
    const refused = await lifecycle(other.id, other.secret)
    expect([refused.status, refused.body.error_description]).toEqual([
      403,
      'policy denied (restriction_active)',
    ])
  })
})
