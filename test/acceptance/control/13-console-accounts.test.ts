/** The back end of a v1 console in front of us: its derived tokens and whom it speaks for (control-api §3.2, §3.3, §3.6). */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { seam } from '../../fixtures/seam.ts'
import { createBrowser } from '../../roles/control/console-client.ts'
import { adminToken, createStage, type Send, type Stage } from '../../roles/control/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())
beforeEach(() => stage.forgetCounters())

const hmac = (data: string, key: string = adminToken) =>
  createHmac('sha256', key).update(data).digest('base64url')
const derived = (label: string, key: string = adminToken) => `cat_${hmac(`caracal:console:${label}:v1`, key)}`
const b64 = (value: string | Buffer) => Buffer.from(value).toString('base64url')
const soon = () => Math.floor(Date.now() / 1000) + 60

/** As the authentication service of v1 signs. */
function assertion(account: string, exp: number | string = soon(), key: string = adminToken): string {
  return `v1.${b64(account)}.${exp}.${hmac(`caracal:account:v1:${account}:${exp}`, key)}`
}

type Label = 'read-only' | 'write' | 'approve'
const as =
  (label: Label, header: string | null, send: Send = stage.send): Send =>
  (method, path, body, options) =>
    send(method, path, body, {
      token: derived(label),
      ...options,
      headers: { ...options?.headers, ...(header === null ? {} : { 'x-caracal-account': header }) },
    })

const account = () => `user ${uuidv7()}`
const outcome = async (answer: ReturnType<Send>) => {
  const { status, body } = await answer
  return [status, body?.error]
}
const refusedAssertion = [401, 'invalid_account_assertion']
const app = () => ({ name: `app ${uuidv7()}`, registration_method: 'managed' })

async function zoneOf(owner: string): Promise<string> {
  const made = await as('write', assertion(owner))('POST', '/v1/zones', { name: 'Owned' })
  if (made.status !== 201) throw new Error(made.text)
  return made.body.id
}

describe('the assertion (§3.6)', () => {
  test('13: a derived token speaks for an account or is refused', async () => {
    expect(await outcome(as('read-only', null)('GET', '/v1/zones'))).toEqual(refusedAssertion)
    const owner = account()
    const zone = await zoneOf(owner)
    const mine = await as('read-only', assertion(owner))('GET', '/v1/zones')
    expect(mine.status).toBe(200)
    expect(mine.body.items.map((row: { id: string }) => row.id)).toEqual([zone])
    expect((await as('read-only', assertion(owner))('GET', '/v1/admin-tokens')).status).toBe(403)
  })

  test('what is not exactly such an assertion is refused, whatever is wrong with it', async () => {
    const owner = account()
    const exp = soon()
    const whole = assertion(owner, exp)
    const [, id = '', , mac = ''] = whole.split('.')
    const flipped = mac.startsWith('A') ? `B${mac.slice(1)}` : `A${mac.slice(1)}`
    const past = Math.floor(Date.now() / 1000) - 1
    const wrong = {
      'signed with another token': assertion(owner, exp, `${adminToken}x`),
      'signed with the derived token itself': assertion(owner, exp, derived('read-only')),
      expired: assertion(owner, past),
      'expired, with a later time written over': assertion(owner, past).replace(`${past}`, `${exp}`),
      'of another account': whole.replace(id, b64(account())),
      'a flipped bit': `v1.${id}.${exp}.${flipped}`,
      'a shortened signature': whole.slice(0, -1),
      'another version': whole.replace('v1.', 'v2.'),
      'one part more': `${whole}.x`,
      'an account in another alphabet': `v1.${id}=.${exp}.${mac}`,
      'an expiry that is no integer': assertion(owner, `${exp}.5`),
      'an expiry in words': assertion(owner, 'never'),
      'an expiry in another base': assertion(owner, '0x7fffffff'),
      'no account': assertion('', exp),
      'an account of 257 bytes': assertion('a'.repeat(257), exp),
      'an account nobody could write down': assertion('a\0b', exp),
      'twice the header': `${whole}, ${whole}`,
      nothing: '',
    }
    for (const [what, header] of Object.entries(wrong)) {
      await stage.forgetCounters()
      expect(await outcome(as('read-only', header)('GET', '/v1/zones')), what).toEqual(refusedAssertion)
    }
    expect((await as('read-only', whole)('GET', '/v1/zones')).status).toBe(200)
    const longest = assertion('é'.repeat(128), exp)
    expect((await as('read-only', longest)('GET', '/v1/zones')).status).toBe(200)
  })

  test('an account that is not text is refused', async () => {
    const bytes = Buffer.from([0xff, 0xfe])
    const exp = soon()
    const mac = createHmac('sha256', adminToken)
      .update(Buffer.concat([Buffer.from('caracal:account:v1:'), bytes, Buffer.from(`:${exp}`)]))
      .digest('base64url')
    const header = `v1.${b64(bytes)}.${exp}.${mac}`
    expect(await outcome(as('read-only', header)('GET', '/v1/zones'))).toEqual(refusedAssertion)
  })

  test('each request needs one: what was proved before is not remembered', async () => {
    const header = assertion(account())
    expect((await as('write', header)('GET', '/v1/zones')).status).toBe(200)
    expect(await outcome(as('write', null)('GET', '/v1/zones'))).toEqual(refusedAssertion)
  })

  test('any other token is what it is, and an assertion beside it changes nothing', async () => {
    const owner = account()
    const zone = await stage.zone()
    const headers = { 'x-caracal-account': assertion(owner) }
    const read = await stage.send('GET', `/v1/zones/${zone}`, undefined, { headers })
    expect(read.status).toBe(200)
    const made = await stage.send('POST', `/v1/zones/${zone}/applications`, app(), { headers })
    expect(made.body.created_by).toMatch(/^admin:/)
    const other = await stage.send('POST', '/v1/admin-tokens', { name: 't', scope: 'zone', zone_id: zone })
    const { token } = other.body
    const mine = await zoneOf(owner)
    expect(await outcome(stage.send('GET', `/v1/zones/${mine}`, undefined, { token, headers }))).toEqual([
      403,
      'admin_token_zone_mismatch',
    ])
    expect(await outcome(stage.send('GET', '/v1/zones', undefined, { token: null, headers }))).toEqual([
      401,
      'invalid_admin_token',
    ])
  })

  seam('starts another control')('forged ones spend the attempts of their address', async () => {
    const { send } = await stage.replica({ ADMIN_AUTH_FAIL_LIMIT_PER_MIN: 2, TRUST_PROXY: true })
    const headers = { 'x-forwarded-for': '198.51.100.71' }
    await leftOfMinute()
    const forged = as('write', assertion(account(), soon(), 'x'), send)
    for (let n = 0; n < 2; n += 1) {
      expect(await outcome(forged('GET', '/v1/zones', undefined, { headers }))).toEqual(refusedAssertion)
    }
    expect(await outcome(forged('GET', '/v1/zones', undefined, { headers }))).toEqual([429, 'rate_limited'])
    const good = as('write', assertion(account()), send)
    expect((await good('GET', '/v1/zones', undefined, { headers })).status).toBe(200)
  })
})

describe('the zones of an account (§3.3)', () => {
  test('it sees and changes its own and no other, be it there or not', async () => {
    const [owner, other] = [account(), account()]
    const [mine, theirs] = [await zoneOf(owner), await zoneOf(other)]
    const ours = await stage.zone()
    const send = as('write', assertion(owner))
    expect((await send('GET', `/v1/zones/${mine}`)).status).toBe(200)
    expect((await send('POST', `/v1/zones/${mine}/applications`, app())).status).toBe(201)
    expect((await send('PATCH', `/v1/zones/${mine}`, { name: 'Renamed' })).status).toBe(200)
    for (const zone of [theirs, ours, uuidv7(), '%61', '%zz']) {
      for (const [method, rest] of [
        ['GET', ''],
        ['GET', '/applications'],
        ['POST', '/applications'],
        ['DELETE', ''],
      ] as const) {
        const refused = await outcome(
          send(method, `/v1/zones/${zone}${rest}`, method === 'POST' ? app() : undefined),
        )
        expect(refused, `${method} ${zone}${rest}`).toEqual([
          403,
          zone === '%zz' ? 'account_scope_required' : 'zone_forbidden',
        ])
      }
    }
    const listed = await send('GET', '/v1/zones')
    expect(listed.body.items.map((row: { id: string }) => row.id)).toEqual([mine])
    expect((await send('DELETE', `/v1/zones/${mine}`)).status).toBe(204)
    expect((await send('GET', '/v1/zones')).body.items).toEqual([])
  })

  test('an object of another zone is not there, even under a path of its own', async () => {
    const [owner, other] = [account(), account()]
    const [mine, theirs] = [await zoneOf(owner), await zoneOf(other)]
    const made = await as('write', assertion(other))('POST', `/v1/zones/${theirs}/applications`, app())
    const send = as('write', assertion(owner))
    const path = `/v1/zones/${mine}/applications/${made.body.id}`
    expect(await outcome(send('GET', path))).toEqual([404, 'application_not_found'])
    expect(await outcome(send('DELETE', path))).toEqual([404, 'application_not_found'])
    expect(await outcome(send('GET', `${path}/client-secret`))).toEqual([404, 'application_not_found'])
  })

  test('pages go through its own zones only', async () => {
    const owner = account()
    const mine = [await zoneOf(owner), await zoneOf(owner), await zoneOf(owner)]
    await zoneOf(account())
    const send = as('read-only', assertion(owner))
    const seen: string[] = []
    let cursor = ''
    do {
      const page = await send('GET', `/v1/zones?limit=1${cursor}`)
      seen.push(...page.body.items.map((row: { id: string }) => row.id))
      cursor = page.body.next_cursor === null ? '' : `&cursor=${page.body.next_cursor}`
    } while (cursor !== '')
    expect(seen.sort()).toEqual(mine.sort())
  })

  test('a zone of the platform may be looked at, but its secrets not seen', async () => {
    const made = await stage.send('POST', '/v1/zones', { name: `caracal.sys/${uuidv7()}` })
    const system = made.body.id
    const held = await stage.send('POST', `/v1/zones/${system}/applications`, app())
    const send = as('write', assertion(account()))
    expect((await send('GET', `/v1/zones/${system}`)).status).toBe(200)
    const secret = `/v1/zones/${system}/applications/${held.body.id}/client-secret`
    expect(await outcome(send('GET', secret))).toEqual([403, 'zone_forbidden'])
    expect(await outcome(send('PATCH', `/v1/zones/${system}`, { name: 'x' }))).toEqual([
      403,
      'system_zone_read_only',
    ])
    expect(await outcome(send('POST', '/v1/zones', { name: 'caracal.sys/x' }))).toEqual([
      409,
      'reserved_namespace',
    ])
  })

  test('outside of a zone it has the paths for accounts alone', async () => {
    const send = as('write', assertion(account()))
    for (const path of [
      '/v1/zones',
      '/v1/policy-templates',
      '/v1/operator/status',
      '/v1/audit-retention',
      '/v1/mint-rate-limit',
    ]) {
      expect((await send('GET', path)).status, path).toBe(200)
    }
    expect((await send('POST', '/v1/policies/validate', {})).status).toBe(400)
    const { max_days } = (await send('GET', '/v1/audit-retention')).body
    expect((await send('PUT', '/v1/audit-retention', { retention_days: max_days })).status).toBe(200)
    for (const [method, path] of [
      ['GET', '/v1/admin-tokens'],
      ['POST', '/v1/admin-tokens'],
      ['DELETE', '/v1/admin-tokens/x'],
      ['GET', '/v1/service-accounts'],
      ['POST', '/v1/role-bindings'],
      ['GET', '/v1/roles'],
      ['POST', '/v1/api-keys'],
      ['GET', '/v1/auth/me'],
      ['DELETE', '/v1/zones'],
      ['PATCH', '/v1/audit-retention'],
      ['GET', '/v1/nope'],
    ] as const) {
      const body = method === 'POST' || method === 'PATCH' ? {} : undefined
      expect(await outcome(send(method, path, body)), `${method} ${path}`).toEqual([
        403,
        'account_scope_required',
      ])
    }
  })
})

describe('what each derived token may (§3.2, §3.3)', () => {
  async function approval(zone: string): Promise<string> {
    const id = uuidv7()
    await stage.database.admin`
      insert into step_up_challenges
        (id, zone_id, session_id, challenge_type, principal_id, approver_class, privacy_mode, resource_set_hash,
         metadata_json, expires_at)
      values (${id}, ${zone}, '', 'human_approval', 'p', 'operator', 'identified', ${Buffer.alloc(32)}, '{}',
              now() + interval '1 hour')`
    return id
  }

  test('the first reads, the second writes, the third decides approvals, each in the zones of its account', async () => {
    const owner = account()
    const zone = await zoneOf(owner)
    const header = assertion(owner)
    const [read, write, approve] = [as('read-only', header), as('write', header), as('approve', header)]
    const made = await write('POST', `/v1/zones/${zone}/applications`, app())
    const secret = `/v1/zones/${zone}/applications/${made.body.id}/client-secret`
    for (const send of [read, write, approve]) {
      expect((await send('GET', `/v1/zones/${zone}/applications`)).status).toBe(200)
    }
    const name = { name: 'x' }
    expect(await outcome(read('PATCH', `/v1/zones/${zone}`, name))).toEqual([403, 'admin_token_read_only'])
    expect(await outcome(approve('PATCH', `/v1/zones/${zone}`, name))).toEqual([
      403,
      'admin_token_approve_only',
    ])
    expect((await write('PATCH', `/v1/zones/${zone}`, name)).status).toBe(200)
    expect(await outcome(read('GET', secret))).toEqual([403, 'admin_token_read_only'])
    expect(await outcome(approve('GET', secret))).toEqual([403, 'admin_token_read_only'])
    expect((await write('GET', secret)).status).toBe(200)

    const hold = await approval(zone)
    const decision = `/v1/zones/${zone}/approvals/${hold}/approve`
    expect(await outcome(read('POST', decision, {}))).toEqual([403, 'admin_token_read_only'])
    expect(await outcome(write('POST', decision, {}))).toEqual([403, 'approve_capability_required'])
    const stranger = as('approve', assertion(account()))
    expect(await outcome(stranger('POST', decision, {}))).toEqual([403, 'zone_forbidden'])
    expect(await outcome(as('approve', null)('POST', decision, {}))).toEqual(refusedAssertion)
    expect((await approve('POST', decision, {})).status).toBe(200)
  })

  test('what the token may not is refused before anyone asks for whom', async () => {
    expect(await outcome(as('read-only', null)('POST', '/v1/zones', { name: 'x' }))).toEqual([
      403,
      'admin_token_read_only',
    ])
  })

  test('the attribution headers of the bootstrap token are not for them', async () => {
    const owner = account()
    const headers = { 'x-caracal-authorized-by': 'Ada Lovelace', 'x-caracal-created-via': 'operator' }
    const made = await as('write', assertion(owner))('POST', '/v1/zones', { name: 'Mine' }, { headers })
    expect(made.body).toMatchObject({ created_by: owner, created_via_operator: false })
  })

  test('access given away in a zone is of that zone and decides nothing', async () => {
    const owner = account()
    const zone = await zoneOf(owner)
    const send = as('write', assertion(owner))
    const worker = { username: `w-${uuidv7()}`, password: 'correct horse battery' }
    const made = await send('POST', `/v1/zones/${zone}/service-accounts`, worker)
    expect(made.status).toBe(201)
    const subject = { kind: 'service_account', id: made.body.id }
    const bind = (role_name: string) =>
      outcome(send('POST', `/v1/zones/${zone}/role-bindings`, { role_name, subject }))
    expect(await bind('approver')).toEqual([403, 'privilege_escalation'])
    expect(await bind('platform-admin')).toEqual([403, 'privilege_escalation'])
    expect((await bind('zone-admin'))[0]).toBe(201)
  })

  test('they open no session in our own console', async () => {
    for (const label of ['read-only', 'write', 'approve'] as const) {
      const answer = await createBrowser(stage.control.app).signIn({ token: derived(label) })
      expect([answer.status, answer.body.error]).toEqual(refusedAssertion)
    }
  })
})

describe('evidence and rotation', () => {
  test('the ledger names the token and for whom it acted, refusals included', async () => {
    const owner = account()
    const stranger = account()
    const zone = await zoneOf(owner)
    const made = await as('write', assertion(owner))('POST', `/v1/zones/${zone}/applications`, app())
    expect(made.body.created_by).toBe(owner)
    await as('write', assertion(stranger))('DELETE', `/v1/zones/${zone}`)
    await as('write', 'v1.nonsense')('DELETE', `/v1/zones/${zone}`)
    const rows = await eventually(async () => {
      const found = await stage.database.admin<
        { actor_name: string; status_code: number; operator: string | null; kind: string }[]
      >`
        select actor_name, status_code, payload_json->>'operator' as operator,
               payload_json->>'principal_kind' as kind
        from admin_audit_events where zone_id = ${zone} order by chain_seq`
      return found.length === 4 ? found : null
    })
    expect(rows.map(({ actor_name, operator, kind }) => [actor_name, operator, kind])).toEqual([
      ['console-write', owner, 'account'],
      ['console-write', owner, 'account'],
      ['console-write', stranger, 'account'],
      ['console-write', null, 'admin_token'],
    ])
    expect(rows.map((row) => row.status_code)).toEqual([201, 201, 403, 401])
  })

  seam('ends the tokens of everybody')(
    '12: a new admin token ends the derived ones and the assertions of the old; one that was revoked stays so',
    async () => {
      const own = await createStage()
      try {
        const list = await own.send('GET', '/v1/admin-tokens')
        const rows: { id: string; name: string; created_by: string; capability: string }[] = list.body.items
        expect(rows.map((row) => [row.name, row.created_by, row.capability]).sort()).toEqual([
          ['bootstrap', 'env-bootstrap', 'write'],
          ['console-approve', 'env-derived-approve', 'approve'],
          ['console-read-only', 'env-derived', 'read'],
          ['console-write', 'env-derived-write', 'write'],
        ])
        const approver = rows.find((row) => row.name === 'console-approve')
        expect((await own.send('DELETE', `/v1/admin-tokens/${approver?.id}`)).status).toBe(204)
        const again = await own.replica()
        const header = assertion('ada')
        expect(await outcome(as('approve', header, again.send)('GET', '/v1/zones'))).toEqual([
          401,
          'invalid_admin_token',
        ])
        expect((await as('write', header, again.send)('GET', '/v1/zones')).status).toBe(200)

        const next = `cat_${'n'.repeat(43)}`
        const { send } = await own.replica({ CARACAL_ADMIN_TOKEN: next })
        expect(await outcome(as('write', header, send)('GET', '/v1/zones'))).toEqual([
          401,
          'invalid_admin_token',
        ])
        const ask = (signedWith: string) =>
          send('GET', '/v1/zones', undefined, {
            token: derived('write', next),
            headers: { 'x-caracal-account': assertion('ada', soon(), signedWith) },
          })
        expect(await outcome(ask(adminToken))).toEqual(refusedAssertion)
        expect((await ask(next)).status).toBe(200)
      } finally {
        await own[Symbol.asyncDispose]()
      }
    },
  )

  seam('starts another control')('where the admin token is not known, nobody can be spoken for', async () => {
    const { send } = await stage.replica({ CARACAL_ADMIN_TOKEN: null })
    expect(await outcome(as('write', assertion('ada'), send)('GET', '/v1/zones'))).toEqual(refusedAssertion)
  })
})
