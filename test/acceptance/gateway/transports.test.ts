/** gateway, acceptance check 52: in process and over the signed envelope the caller sees the same bytes. */
import { expect } from 'vitest'
import { seam } from '../../fixtures/seam.ts'
import { type CallOptions, openStage } from '../../roles/gateway/stage.ts'
import { demo, openScene } from './scene.ts'

seam('compares the two transports of one gateway')(
  '52: both transports give the same answers',
  async () => {
    const scene = await openScene('http')
    const inproc = await openStage({ platform: scene.world, deps: { sts: scene.world.sts } })
    const { sql } = scene.world.db
    const child = scene.delegation.childSessionId

    /** Each transport gets a mandate of its own, minted now unless the test brings two. */
    const compare = async (
      name: string,
      options: CallOptions = {},
      mandates?: readonly [string, string],
    ): Promise<number> => {
      const [first, second] = mandates ?? [await scene.mint(), await scene.mint()]
      const call = { resource: demo, headers: { 'x-request-id': name.replaceAll(' ', '-') }, ...options }
      const [http, local] = [
        await scene.stage.call({ ...call, mandate: first }),
        await inproc.call({ ...call, mandate: second }),
      ]
      expect([http.status, http.body, http.headers['content-type']], name).toEqual([
        local.status,
        local.body,
        local.headers['content-type'],
      ])
      return http.status
    }
    const pair = async () => [await scene.mint(), await scene.mint()] as const

    expect(await compare('unknown resource', { resource: 'resource://unknown' })).toBe(403)

    await scene.route(scene.upstream.url, [{ method: 'GET', path: '/x', scope: 'demo:read' }])
    expect(await compare('undeclared operation', { path: '/y' })).toBe(403)
    await scene.route(scene.upstream.url)

    const narrowed = await pair()
    await scene.grant(['demo:read'])
    expect(await compare('narrowed policy', {}, narrowed)).toBe(403)
    await scene.grant(['demo:read', 'demo:write'])

    const suspended = await pair()
    await sql`update agent_sessions set status = 'suspended', suspended_at = now() where id = ${child}`
    expect(await compare('suspended session', {}, suspended)).toBe(403)
    await sql`update agent_sessions set status = 'active', suspended_at = null where id = ${child}`

    await scene.route('http://169.254.169.254/')
    expect(await compare('unsafe upstream')).toBe(502)

    await inproc[Symbol.asyncDispose]()
    await scene[Symbol.asyncDispose]()
  },
  30_000,
)
