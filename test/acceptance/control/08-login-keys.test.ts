/** The key of login tokens rotates with an overlap of 24 hours (control-api §12.3). */
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { createStage, type Send, type Stage } from '../../roles/control/stage.ts'

const password = 'correct horse battery'
let stage: Stage
let processes: Send[]
beforeAll(async () => {
  stage = await createStage({
    // A name that no other test file has: a rotation ends everybody's logins.
    settings: { CARACAL_BOOTSTRAP_USERNAME: 'key-keeper', CARACAL_BOOTSTRAP_PASSWORD: password },
  })
  processes = [stage.send, (await stage.replica()).send, (await stage.replica()).send]
})
afterAll(() => stage[Symbol.asyncDispose]())

async function logIn(): Promise<string> {
  await stage.forgetCounters()
  const answer = await stage.send(
    'POST',
    '/v1/auth/login',
    { username: 'key-keeper', password },
    { token: null },
  )
  return answer.body.access_token
}
const status = async (send: Send, token: string) =>
  (await send('GET', '/v1/auth/me', undefined, { token })).status
const published = async (send: Send = stage.send) =>
  (await send('GET', '/v1/auth/keys', undefined, { token: null })).body.keys as { kid: string; d?: string }[]
/** Another process than the one that rotated may answer: it is told a moment later. */
const everywhere = (token: string, expected: number) =>
  Promise.all(processes.map((send) => eventually(async () => (await status(send, token)) === expected)))
const keysBecome = (...kids: string[]) =>
  eventually(async () => {
    const keys = await published()
    expect(keys.map((key) => key.kid)).toEqual(kids)
    return keys
  })
const logInUnder = (kid: string) =>
  eventually(async () => {
    const token = await logIn()
    return kidOf(token) === kid ? token : null
  })
const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid

describe('login keys', () => {
  test('52: both keys are published and verify during the overlap; then one', async () => {
    const before = await logIn()
    expect((await published()).map((key) => key.kid)).toEqual([kidOf(before)])
    const rotated = await stage.send('POST', '/v1/auth/keys/rotate')
    expect([rotated.status, rotated.body.rotated]).toEqual([200, true])
    const after = await logInUnder(rotated.body.kid)
    const keys = await keysBecome(rotated.body.kid, kidOf(before))
    expect(keys.every((key) => key.d === undefined)).toBe(true)
    const set = createLocalJWKSet({ keys: keys as never })
    for (const token of [before, after]) {
      expect((await jwtVerify(token, set, { audience: 'caracal-api' })).payload.use).toBe('admin')
      // Who has not loaded the new key yet looks for an unknown one.
      await everywhere(token, 200)
    }

    await stage.database.admin`
      update platform_signing_keys set created_at = created_at - interval '25 hours'`
    const late = await stage.send('POST', '/v1/auth/keys/rotate')
    await stage.database.admin`
      update platform_signing_keys set created_at = created_at - interval '25 hours' where id <> ${late.body.kid}`
    await keysBecome(late.body.kid, rotated.body.kid)
    await everywhere(before, 401)
    await everywhere(after, 200)
  })

  test('52: a key that others may know ends at once, in every process', async () => {
    const before = await logIn()
    await everywhere(before, 200)
    const rotated = await stage.send('POST', '/v1/auth/keys/rotate?immediate=true')
    await keysBecome(rotated.body.kid)
    await everywhere(before, 401)
    await everywhere(await logInUnder(rotated.body.kid), 200)
  })

  test('52: rotating takes a deployment-wide writer, and leaves a row that names a rotation', async () => {
    const zone = await stage.zone()
    const mint = async (body: object) => (await stage.send('POST', '/v1/admin-tokens', body)).body.token
    const zoned = await mint({ name: 'z', scope: 'zone', zone_id: zone })
    const reader = await mint({ name: 'r', scope: 'global', capability: 'read' })
    for (const token of [zoned, reader]) {
      expect((await stage.send('POST', '/v1/auth/keys/rotate', undefined, { token })).status).toBe(403)
    }
    expect((await stage.send('POST', '/v1/auth/keys/rotate?immediate=perhaps')).status).toBe(400)
    const rows = await stage.database.admin<{ payload: string }[]>`
      select payload_json::text as payload from admin_audit_events
      where path = '/v1/auth/keys/rotate' and status_code = 200`
    expect(rows).toHaveLength(3)
    for (const { payload } of rows) expect(payload).toContain('secret_rotation')
  })
})
