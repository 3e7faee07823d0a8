import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bindingHash } from '../../../src/roles/sts/approvals/binding.ts'
import { approverIdentity } from '../../../src/roles/sts/approvals/decide-as-subject.ts'
import { eventually } from '../../fixtures/eventually.ts'
import {
  activatePolicy,
  grantsDocument,
  type SeededDelegation,
  seedApplication,
  seedDelegation,
  seedEdge,
  seedSession,
} from '../../fixtures/zone.ts'
import { createIdentityIssuer, type IdentityIssuer } from '../../roles/sts/identity-issuer.ts'
import {
  auditEvent,
  auditEvents,
  claimsOf,
  createWorld,
  delegatedFields,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

let world: World
let idp: IdentityIssuer
let delegation: SeededDelegation
beforeAll(async () => {
  idp = await createIdentityIssuer()
  world = await createWorld({}, idp.server.egress)
  await idp.trust(world.db, world.zone.zoneId)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await idp[Symbol.asyncDispose]()
})

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]

function gated(...tiers: readonly Readonly<Record<string, unknown>>[]) {
  const own = world.zone.application.id
  return activatePolicy(world.db, world.zone.zoneId, [
    grantsDocument({
      app_ids: { own },
      grants: { 'resource://nucleus': { application: 'own', roles: { [own]: ['nucleus:pay'] } } },
      risk: tiers.length === 0 ? [] : [{ scope: 'nucleus:pay', tier: tiers[0]?.tier }],
      approval_tiers: tiers,
    }),
  ])
}

const mint = (fields = {}, headers = {}) =>
  token(world, { ...delegatedFields(delegation), ...fields }, headers)

/** What the control role does when an operator decides. */
async function decide(id: string, approved: boolean): Promise<void> {
  await world.db.transaction(async (tx) => {
    await tx.sql`
      update step_up_challenges
      set satisfied_at = ${approved ? new Date() : null}, rejected_at = ${approved ? null : new Date()},
          approver_subject_id = 'admin:operator'
      where id = ${id}`
    await tx.sql`select pg_notify('caracal_approval_decided', ${id})`
  })
}

const status = async (id: string, query = '') => {
  const response = await world.sts.app.request(`/approvals/${id}${query}`)
  // biome-ignore lint/suspicious/noExplicitAny: the wire's own members
  return { status: response.status, body: (await response.json()) as any }
}

beforeEach(async () => {
  delegation = await seedDelegation(world.db, world.zone)
})

describe('sts §18 approvals by an operator', () => {
  beforeEach(async () => {
    await gated({ tier: 'money' })
  })

  test('45: a gated scope raises one hold', async () => {
    const first = await mint({}, { 'x-request-id': 'hold-1' })
    expect(outcome(first)).toEqual([401, 'interaction_required'])
    expect(first.headers.get('www-authenticate')).toBe('Bearer error="interaction_required"')
    expect(first.body).toMatchObject({
      approval_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      approval_type: 'human_approval',
      state: 'pending',
      tier: 'money',
      binding: expect.stringMatching(/^[0-9a-f]{64}$/),
      approval_expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      requestId: 'hold-1',
    })
    const again = await mint()
    expect(again.body.approval_id).toBe(first.body.approval_id)
    const issued = await eventually(async () => {
      const told = (await auditEvents(world)).filter(
        (event) =>
          event.event_type === 'step_up_issued' &&
          event.metadata_json.challenge_id === first.body.approval_id,
      )
      return told.length > 0 && told
    })
    expect(issued).toHaveLength(1)
    expect(issued[0]).toMatchObject({ decision: 'pending', metadata_json: { binding: first.body.binding } })
  })

  test('46: its state can be asked and waited for', async () => {
    const { approval_id: id } = (await mint()).body
    expect(await status(id)).toEqual({
      status: 200,
      body: { id, state: 'pending', expires_at: expect.any(String) },
    })
    const startedAt = performance.now()
    expect((await status(id, '?wait=1')).body.state).toBe('pending')
    expect(performance.now() - startedAt).toBeGreaterThan(950)
    const waiting = status(id, '?wait=99999999999999999999')
    const decidedAt = performance.now()
    await decide(id, true)
    expect((await waiting).body.state).toBe('approved')
    expect(performance.now() - decidedAt).toBeLessThan(8000)
    expect((await status(id, '?wait=-1')).status).toBe(400)
    expect((await status(id, '?wait=x')).status).toBe(400)
    expect((await status(crypto.randomUUID())).status).toBe(404)
    expect((await status('abc')).status).toBe(404)
  })

  test('47: an approval is spent once and re-issued for two minutes', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    const first = await mint({ approval_id })
    expect(first.status).toBe(200)
    const again = await mint({ approval_id })
    expect(again.status).toBe(200)
    const [a, b] = [claimsOf(first.body.access_token), claimsOf(again.body.access_token)]
    expect(b).toEqual(a)
    await world.db.sql`
      update step_up_challenges set consumed_at = now() - interval '121 seconds' where id = ${approval_id}`
    expect(outcome(await mint({ approval_id }))).toEqual([409, 'approval_consumed'])
    const consumed = (await auditEvents(world)).filter(
      (event) => event.event_type === 'step_up_consumed' && event.metadata_json.challenge_id === approval_id,
    )
    expect(consumed.map((event) => event.metadata_json.reissued ?? false)).toEqual([false, true])
  })

  test.each<[string, (sid: string) => PromiseLike<unknown>]>([
    [
      'edge',
      () => world.database.admin`
        update delegation_edges set status = 'revoked', revoked_at = now() where id = ${delegation.edgeId}`,
    ],
    [
      'record',
      (sid) => world.database.admin`
        update authority_records set status = 'revoked', revoked_at = now() where id = ${sid}`,
    ],
  ])('47: what a re-issue rests on is alive when it is signed: %s', async (_, revoke) => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    const { sid } = claimsOf((await mint({ approval_id })).body.access_token)
    const { admin } = world.database
    await admin`begin`
    await admin`select pg_advisory_xact_lock(hashtext(${`delegation:${world.zone.zoneId}`}))`
    await revoke(sid as string)
    const again = mint({ approval_id })
    await eventually(async () => {
      const [row] = await world.db.sql<{ waiting: boolean }[]>`
        select exists(select 1 from pg_locks where locktype = 'advisory' and not granted) as waiting`
      return row?.waiting === true
    }).finally(() => admin`commit`)
    expect(outcome(await again)).toEqual([403, 'access_denied'])
  })

  test('47: the approved request goes through without naming the approval', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    expect((await mint()).status).toBe(200)
    expect((await status(approval_id)).body.state).toBe('consumed')
    expect(outcome(await mint())).toEqual([401, 'interaction_required'])
  })

  test('48: it fits this request and no other', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    const other = await seedDelegation(world.db, world.zone)
    const denied = [401, 'access_denied']
    expect(outcome(await mint({ approval_id, ...delegatedFields(other) }))).toEqual(denied)
    expect(outcome(await mint({ approval_id, scope: 'nucleus:pay nucleus:other' }))).toEqual(denied)
    const stranger = await seedApplication(world.db, world.hasher, world.zone.zoneId)
    const theirs = { approval_id, application_id: stranger.id, client_secret: stranger.secret }
    expect(outcome(await mint(theirs, { 'x-request-id': 'not-mine' }))).toEqual(denied)
    await mint({ approval_id, scope: 'nucleus:other' }, { 'x-request-id': 'mine' })
    const told = async (requestId: string) =>
      (await auditEvent(world, requestId, 'approval_invalid')).metadata_json.challenge_id
    expect([await told('mine'), await told('not-mine')]).toEqual([approval_id, undefined])
    expect(outcome(await mint({ approval_id: crypto.randomUUID() }))).toEqual(denied)
    await gated({ tier: 'money', ttl_seconds: 600 })
    expect(outcome(await mint({ approval_id }))).toEqual(denied)
  })

  test('49: a rejection stands until it expires', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, false)
    expect(outcome(await mint({ approval_id }))).toEqual([403, 'access_denied'])
    expect(outcome(await mint())).toEqual([403, 'access_denied'])
    await world.db.sql`update step_up_challenges set expires_at = now() where id = ${approval_id}`
    const renewed = await mint()
    expect(outcome(renewed)).toEqual([401, 'interaction_required'])
    expect(renewed.body.approval_id).not.toBe(approval_id)
  })

  test('50: two at once spend it once', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    const answers = await Promise.all([mint({ approval_id }), mint({ approval_id }), mint({ approval_id })])
    const minted = answers.filter((answer) => answer.status === 200)
    expect(minted.length).toBeGreaterThan(0)
    expect(new Set(minted.map((answer) => claimsOf(answer.body.access_token).sid)).size).toBe(1)
    for (const answer of answers) expect([200, 409]).toContain(answer.status)
  })

  test('an authority that dies keeps the approval unspent', async () => {
    const { approval_id } = (await mint()).body
    await decide(approval_id, true)
    await world.db.sql`
      update agent_sessions set status = 'suspended', suspended_at = now() where id = ${delegation.childSessionId}`
    expect(outcome(await mint({ approval_id }))).toEqual([403, 'access_denied'])
    expect((await status(approval_id)).body.state).toBe('approved')
  })
})

describe('sts §18 approval terms', () => {
  test('51: windows are clamped, mixed classes are refused', async () => {
    const window = async () => {
      const { approval_expires_at } = (await mint()).body
      return Math.round((Date.parse(approval_expires_at) - Date.now()) / 1000)
    }
    await gated({ tier: 'money', ttl_seconds: 5 })
    expect(Math.abs((await window()) - 60)).toBeLessThan(5)
    await gated({ tier: 'money' })
    expect(Math.abs((await window()) - 4 * 3600)).toBeLessThan(5)
    await gated({ tier: 'money', approver: 'subject' })
    expect(Math.abs((await window()) - 15 * 60)).toBeLessThan(5)
    await gated({ tier: 'money', approver: 'subject' }, { tier: 'money', approver: 'operator' })
    expect(outcome(await mint())).toEqual([403, 'access_denied'])
  })

  test('53: a malformed tier stops the mint, not the bootstrap', async () => {
    await gated({ tier: 'money', approver: 'nobody' })
    expect((await mint()).body.error_description).toBe('policy denied (malformed_approval_data)')
    expect((await token(world, { scope: 'agent:lifecycle' })).status).toBe(200)
  })

  test('binding vector of §8.6, pseudonym vector of §8.8', () => {
    const binding = bindingHash({
      resources: [' Resource://Nucleus', 'resource://nucleus'],
      scopes: ['nucleus:pay', 'nucleus:pay'],
      principal: 'app-1',
      authorityRecord: '',
      session: 'sess-1',
      delegation: 'edge-1',
      application: 'app-1',
      policySetVersion: 'psv-1',
      policyManifest: 'mmm',
      contractVersion: '2026-07-12',
      contractSha: 'ccc',
    })
    expect(binding.toString('hex')).toBe('88c563f72076ca9cbf320362058633bb8c1270fe4e943c5e04f02eb9448d569c')
    expect(approverIdentity('pseudonymous', 'zone-1', 'user-1')).toBe('subject:pseudonym:5522eb4bfa40b0c3')
    expect(approverIdentity('identified', 'zone-1', 'user-1')).toBe('subject:user-1')
    expect(approverIdentity('anonymous', 'zone-1', 'user-1')).toBe('subject:redacted')
  })
})

describe('sts §18 approvals by the federated user', () => {
  const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'

  async function userSession(sub: string): Promise<string> {
    const answer = await token(world, {
      resource: undefined,
      subject_token: await idp.idToken({ sub }),
      subject_token_type: idTokenType,
    })
    return answer.body.access_token
  }

  /** A delegation whose target session runs under this user's record. */
  async function anchoredDelegation(userRecordId: string): Promise<SeededDelegation> {
    const applicationId = world.zone.application.id
    const parentSessionId = await seedSession(world.db, world.zone.zoneId, { applicationId })
    const childSessionId = await seedSession(world.db, world.zone.zoneId, {
      applicationId,
      recordId: userRecordId,
    })
    const edgeId = await seedEdge(world.db, world.zone.zoneId, {
      source: parentSessionId,
      target: childSessionId,
      issuer: applicationId,
      scopes: ['nucleus:pay'],
    })
    return { parentSessionId, childSessionId, edgeId }
  }

  async function decideAs(bearer: string | null, id: string, body: unknown): Promise<TokenAnswer> {
    const response = await world.sts.app.request(`/approvals/${id}/decision`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      },
      body: JSON.stringify(body),
    })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  test('52: the anchored user decides with the right binding, once', async () => {
    await gated({ tier: 'money', approver: 'subject' })
    const user = await userSession('user-1')
    const approver = await userSession('user-1')
    delegation = await anchoredDelegation(claimsOf(user).sid as string)
    const { approval_id: id, binding } = (await mint()).body
    const approve = { decision: 'approved', binding }

    const missing = await decideAs(null, id, approve)
    expect(outcome(missing)).toEqual([401, 'invalid_token'])
    expect(missing.headers.get('www-authenticate')).toBe('Bearer realm="caracal-sts"')
    expect((await decideAs(approver, 'abc', approve)).status).toBe(404)
    expect((await decideAs(approver, crypto.randomUUID(), approve)).status).toBe(404)
    expect((await decideAs(approver, id, { ...approve, decision: 'maybe' })).status).toBe(400)
    expect((await decideAs(approver, id, { ...approve, reason: 'x'.repeat(501) })).status).toBe(400)
    expect((await decideAs(approver, id, { ...approve, reason: 'a\0b' })).status).toBe(400)
    const unbound = { decision: 'approved', reason: null }
    expect((await decideAs(approver, crypto.randomUUID(), unbound)).status).toBe(404)
    expect((await decideAs('not.a.token', id, unbound)).status).toBe(401)
    for (const binding of [undefined, null, 7])
      expect((await decideAs(approver, id, { ...unbound, binding })).status).toBe(409)
    expect((await decideAs('not.a.token', id, approve)).status).toBe(401)

    const application = (await token(world, { scope: 'agent:lifecycle' })).body.access_token
    expect(outcome(await decideAs(application, id, approve))).toEqual([403, 'access_denied'])
    const stranger = await userSession('user-2')
    expect(outcome(await decideAs(stranger, id, approve))).toEqual([403, 'access_denied'])
    expect(outcome(await decideAs(approver, id, { ...approve, binding: '00'.repeat(32) }))).toEqual([
      409,
      'access_denied',
    ])

    const decided = await decideAs(approver, id, { ...approve, reason: 'ok' })
    expect([decided.status, decided.body]).toEqual([
      200,
      { id, state: 'approved', expires_at: expect.any(String) },
    ])
    expect(outcome(await decideAs(approver, id, approve))).toEqual([409, 'access_denied'])
    const [row] = await world.db.sql<{ approver_subject_id: string; approver_session_id: string }[]>`
      select approver_subject_id, approver_session_id from step_up_challenges where id = ${id}`
    expect(row).toEqual({
      approver_subject_id: 'subject:user-1',
      approver_session_id: claimsOf(approver).sid,
    })
    const outbox = await world.db.sql<{ data: string }[]>`
      select payload_json->>'data' as data from caracal_outbox where request_id = ${id}`
    expect(JSON.parse(outbox[0]?.data ?? '{}')).toMatchObject({
      event_type: 'step_up_decided',
      decision: 'approved',
      metadata_json: { approver_plane: 'subject', challenge_id: id, subject_anchor: 'user-1' },
    })
    expect((await mint({ approval_id: id })).status).toBe(200)
  })

  test('52: an operator hold is not theirs, nor is one of their own lineage', async () => {
    await gated({ tier: 'money' })
    const user = await userSession('user-1')
    const operatorHold = (await mint()).body
    expect(
      outcome(
        await decideAs(user, operatorHold.approval_id, {
          decision: 'approved',
          binding: operatorHold.binding,
        }),
      ),
    ).toEqual([403, 'access_denied'])

    await gated({ tier: 'money', approver: 'any' })
    const { approval_id: id, binding } = (await mint()).body
    await world.db
      .sql`update step_up_challenges set session_id = ${claimsOf(user).sid as string} where id = ${id}`
    expect(outcome(await decideAs(user, id, { decision: 'approved', binding }))).toEqual([
      403,
      'access_denied',
    ])
    await world.db
      .sql`update authority_records set status = 'revoked', revoked_at = now() where id = ${claimsOf(user).sid as string}`
    expect(outcome(await decideAs(user, id, { decision: 'approved', binding }))).toEqual([
      403,
      'access_denied',
    ])
  })
})
