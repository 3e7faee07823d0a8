/** A revoked credential stops in every process: at once when its message arrives, within six seconds when it does not. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { createStage, type Send, type Stage } from '../../roles/control/stage.ts'

vi.setConfig({ testTimeout: 60_000 })

let stage: Stage
let replica: Send
beforeAll(async () => {
  stage = await createStage()
  replica = (await stage.replica()).send
})
afterAll(() => stage[Symbol.asyncDispose]())

let sequence = 0
async function account(): Promise<{ id: string; key: string; keyId: string; token: string }> {
  sequence += 1
  const username = `worker-${sequence}`
  const password = `password of ${username}`
  const { id } = (await stage.send('POST', '/v1/service-accounts', { username, password })).body
  const subject = { kind: 'service_account', id }
  await stage.send('POST', '/v1/role-bindings', { role_name: 'viewer', subject })
  const made = (await stage.send('POST', '/v1/api-keys', { name: 'k', service_account_id: id })).body
  await stage.forgetCounters()
  const login = await stage.send('POST', '/v1/auth/login', { username, password }, { token: null })
  return { id, key: made.key, keyId: made.id, token: login.body.access_token }
}

const allowed = async (token: string): Promise<boolean> =>
  (await replica('GET', '/v1/zones', undefined, { token })).status === 200

/** Milliseconds until another process refuses the credential it knew a moment ago. */
async function untilRefused(token: string, end: () => Promise<unknown>): Promise<number> {
  expect(await allowed(token)).toBe(true)
  await end()
  const ended = performance.now()
  await eventually(async () => !(await allowed(token)), { timeoutMs: 15_000, intervalMs: 20 })
  return performance.now() - ended
}

describe('revocation of principals (control-api §12.1, §16)', () => {
  test('11: a revoked admin token', async () => {
    const { body } = await stage.send('POST', '/v1/admin-tokens', { name: 'r', scope: 'global' })
    const revoke = () => stage.send('DELETE', `/v1/admin-tokens/${body.id}`)
    expect(await untilRefused(body.token, revoke)).toBeLessThan(4500)
    expect((await revoke()).status).toBe(404)
  })

  test('55: a revoked key, a rotated key, and the keys and logins of an account that is turned off', async () => {
    const one = await account()
    const revoke = () => stage.send('DELETE', `/v1/api-keys/${one.keyId}`)
    expect(await untilRefused(one.key, revoke)).toBeLessThan(4500)

    const two = await account()
    const rotate = () => stage.send('POST', `/v1/api-keys/${two.keyId}/rotate`, { grace_seconds: 0 })
    expect(await untilRefused(two.key, rotate)).toBeLessThan(4500)

    const three = await account()
    const off = () => stage.send('PATCH', `/v1/service-accounts/${three.id}`, { status: 'inactive' })
    expect(await allowed(three.token)).toBe(true)
    expect(await untilRefused(three.key, off)).toBeLessThan(4500)
    expect(await untilRefusedAlready(three.token)).toBeLessThan(4500)
  })

  test('53: a deleted binding', async () => {
    const one = await account()
    const bindings = await stage.send('GET', `/v1/role-bindings?subject_id=${one.id}`)
    const remove = () => stage.send('DELETE', `/v1/role-bindings/${bindings.body.items[0].id}`)
    const zone = await stage.zone()
    const reads = async () =>
      (await replica('GET', `/v1/zones/${zone}`, undefined, { token: one.token })).status
    expect(await reads()).toBe(200)
    await remove()
    await eventually(async () => (await reads()) === 403, { timeoutMs: 4500, intervalMs: 20 })
  })

  test('a change nobody was told of takes effect when what was proven is forgotten', async () => {
    const key = await account()
    const login = await account()
    const end = async () => {
      await stage.database.admin`update api_keys set revoked_at = now() where id = ${key.keyId}`
      await stage.database.admin`update service_accounts set status = 'inactive' where id = ${login.id}`
    }
    expect(await allowed(login.token)).toBe(true)
    expect(await untilRefused(key.key, end)).toBeLessThan(12_000)
    expect(await untilRefusedAlready(login.token)).toBeLessThan(12_000)
  })
})

/** For a credential whose end was part of the change before. */
async function untilRefusedAlready(token: string): Promise<number> {
  const began = performance.now()
  await eventually(async () => !(await allowed(token)), { timeoutMs: 15_000, intervalMs: 20 })
  return performance.now() - began
}
