/** sdk-cli-console §16, checks 11–14 and 21–26: what clients rely on, asked with plain requests over sockets. */
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, openStage, type Stage, type World } from './stage.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
let stage: Stage
let world: World

beforeAll(async () => {
  stage = await openStage()
  world = await createWorld(stage, {
    policy: (application) =>
      [
        '# caracal:data-document',
        'package caracal.authz',
        'import rego.v1',
        `app_ids := {"agent": "${application}"}`,
        `grants := {"resource://x": {"application": "agent", "roles": {"${application}": ["x:read", "x:write"]}}}`,
        'risk := [{"scope": "x:write", "tier": "money"}]',
        'approval_tiers := [{"tier": "money", "approver": "operator", "ttl_seconds": 3600, "privacy": "identified"}]',
        '',
      ].join('\n'),
  })
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Record<string, unknown>
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.status, headers: response.headers, text, body: json }
}

const fields = (more: Readonly<Record<string, string>> = {}) => ({
  grant_type: grantType,
  zone_id: world.zoneId,
  application_id: world.applicationId,
  client_secret: world.clientSecret,
  resource: world.resource,
  ...more,
})

async function exchange(
  form: Record<string, string> | string,
  headers: Record<string, string> = {},
  query = '',
) {
  return answerOf(
    await fetch(`${stage.urls.sts}/oauth/2/token${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    }),
  )
}

const claimsOf = ({ body }: Pick<Answer, 'body'>): Record<string, unknown> =>
  JSON.parse(Buffer.from(String(body.access_token).split('.')[1] ?? '', 'base64url').toString())

const lifecycle = async () => String((await exchange(fields({ scope: 'agent:lifecycle' }))).body.access_token)

/** A request of the coordinator with the headers that are given and no others of its own. */
async function coordinator(
  method: string,
  path: string,
  { bearer, json, headers = {} }: { bearer: string; json?: unknown; headers?: Record<string, string> },
): Promise<Answer> {
  return answerOf(
    await fetch(`${stage.urls.coordinator}/zones/${world.zoneId}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    }),
  )
}

/** As a bare HTTP client sends it: no body, no content-type, no content-length. */
function bare(method: string, path: string, bearer: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const url = new URL(`${stage.urls.coordinator}/zones/${world.zoneId}${path}`)
    const request = httpRequest(
      url,
      { method, headers: { authorization: `Bearer ${bearer}` } },
      (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      },
    )
    request.on('error', reject).end()
  })
}

const startSession = (bearer: string, more: object = {}, headers: Record<string, string> = {}) =>
  coordinator('POST', '/agents', {
    bearer,
    json: { application_id: world.applicationId, labels: [world.applicationId], ...more },
    headers,
  })

describe('sessions on the wire', () => {
  it('11: a service session ends for the holder of its lease alone, who says which', async () => {
    const bearer = await lifecycle()
    const { body } = await startSession(bearer, { lifecycle: 'service' })
    expect(body.lease_generation).toBe(1)
    const path = `/agents/${body.agent_session_id}`
    const without = await coordinator('DELETE', path, { bearer })
    expect([without.status, without.body.error]).toEqual([400, 'lease_generation_required'])
    const stale = await coordinator('DELETE', path, { bearer, json: { lease_generation: 7 } })
    expect([stale.status, stale.body.error]).toEqual([409, 'session_lease_fenced'])
    const ended = await coordinator('DELETE', path, { bearer, json: { lease_generation: 1 } })
    expect([ended.status, ended.text]).toEqual([204, ''])
  })

  it('12: a lease is taken with no body and no content-type', async () => {
    const bearer = await lifecycle()
    const { body } = await startSession(bearer, { lifecycle: 'service' })
    const lease = await bare('POST', `/agents/${body.agent_session_id}/lease`, bearer)
    expect(lease.status).toBe(200)
    expect(JSON.parse(lease.text)).toMatchObject({ lease_generation: 2 })
  })

  it('13: a task session ends with no content-type, and the answer is empty', async () => {
    const bearer = await lifecycle()
    const { body } = await startSession(bearer)
    expect(body.agent_session_id).toMatch(uuid)
    expect(await bare('DELETE', `/agents/${body.agent_session_id}`, bearer)).toEqual({
      status: 204,
      text: '',
    })
  })

  it('14: the same key while the first is live is the same session, replayed', async () => {
    const bearer = await lifecycle()
    const keyed = { 'idempotency-key': 'contract-14' }
    const first = await startSession(bearer, {}, keyed)
    const second = await startSession(bearer, {}, keyed)
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([201, null])
    expect([second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(second.body.agent_session_id).toBe(first.body.agent_session_id)
    const other = await startSession(bearer, { labels: ['other'] }, keyed)
    expect([other.status, other.body.error]).toEqual([409, 'idempotency_key_conflict'])
    await bare('DELETE', `/agents/${first.body.agent_session_id}`, bearer)
    const late = await startSession(bearer, {}, keyed)
    expect([late.status, late.body.error]).toEqual([409, 'idempotency_result_inactive'])
  })
})

describe('a base URL that ends in a slash, joined without trimming it', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  it.each([
    ['sts', 'POST', '/oauth/2/token', form],
    ['sts', 'GET', '/.well-known/jwks.json', {}],
    ['sts', 'GET', '/approvals/0190a000-0000-7000-8000-000000000001', {}],
    ['sts', 'POST', '/v1/run/manifest', form],
    ['sts', 'GET', '/ready', {}],
    ['control', 'GET', '/v1/zones', {}],
    ['control', 'GET', '/health', {}],
    ['coordinator', 'GET', '/ready', {}],
    ['audit', 'GET', '/health', {}],
  ] as const)('%s %s %s', async (role, method, path, headers) => {
    const ask = async (target: string) => {
      const response = await fetch(`${stage.urls[role]}${target}`, { method, headers })
      const text = await response.text()
      // Answers may carry the id or the time of their request.
      return [response.status, text.replaceAll(/[0-9a-f-]{36}|\d{4}-[\dT:.-]+Z/g, '…')]
    }
    const usual = await ask(path)
    expect(usual).not.toEqual(await ask('/nope'))
    expect(await ask(`/${path}`)).toEqual(usual)
    expect(await ask(`//${path}`)).toEqual(usual)
  })

  it('operators are known by the path that is routed', async () => {
    const headers = { authorization: `Bearer ${stage.adminToken}` }
    expect((await fetch(`${stage.urls.control}//v1/zones`, { headers })).status).toBe(200)
    expect((await fetch(`${stage.urls.control}//v1/zones`)).status).toBe(401)
  })
})

describe('the exchange', () => {
  it('21: what a form may be', async () => {
    const form = new URLSearchParams(fields({ scope: 'agent:lifecycle' })).toString()
    const status = async (...args: Parameters<typeof exchange>) => (await exchange(...args)).status
    expect(await status(`${form}&scope=agent%3Alifecycle`)).toBe(400)
    expect(await status(`${form}&resource=${encodeURIComponent('resource://x')}`)).toBe(200)
    expect(await status(form, {}, '?zone_id=z')).toBe(400)
    expect(await status('{}', { 'content-type': 'application/json' })).toBe(415)
    expect(await status(`${form}&padding=${'a'.repeat(65_536)}`)).toBe(413)
  })

  it('23: a token comes as clients check it', async () => {
    const { status, headers, body } = await exchange(fields({ scope: 'agent:lifecycle' }))
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^application\/json(?:;|$)/)
    expect(body.token_type).toBe('Bearer')
    expect(body.expires_in).toSatisfy((value) => Number.isInteger(value) && Number(value) > 0)
    expect(claimsOf({ body }).exp).toSatisfy(Number.isInteger)
  })

  it('26: an actor token is refused', async () => {
    const { status, body } = await exchange(fields({ scope: 'agent:lifecycle', actor_token: 'x' }))
    expect([status, body.error]).toEqual([400, 'invalid_token'])
  })

  it('22: a wrong secret is denied without a word too many, and then slowed down', async () => {
    const { id } = (await stage.admin('POST', `/zones/${world.zoneId}/applications`, {
      name: 'guessed',
      registration_method: 'managed',
    })) as { id: string }
    const guess = () =>
      exchange({ ...fields({ scope: 'agent:lifecycle' }), application_id: id, client_secret: 'no' })
    const first = await guess()
    expect(first.status).toBe(401)
    expect(Object.keys(first.body).sort()).toEqual(['error', 'error_description', 'requestId'])
    expect(first.body.error).toBe('access_denied')
    expect(first.body.requestId).toBe(first.headers.get('x-request-id'))
    const statuses = new Set<number>()
    // Sixty a minute; a minute may end in between.
    for (let round = 0; round < 150 && !statuses.has(429); round += 1) statuses.add((await guess()).status)
    expect([...statuses]).toEqual([401, 429])
  })
})

describe('approvals', () => {
  /** Two sessions of the application and a delegation of everything between them. */
  async function delegated(): Promise<{ agent_session_id: string; delegation_edge_id: string }> {
    const bearer = await lifecycle()
    const [source, target] = [await startSession(bearer), await startSession(bearer)]
    const edge = await coordinator('POST', '/delegations', {
      bearer,
      json: {
        issuer_application_id: world.applicationId,
        receiver_application_id: world.applicationId,
        source_session_id: source.body.agent_session_id,
        target_session_id: target.body.agent_session_id,
        scopes: ['x:read', 'x:write'],
        resource_id: world.resource,
        ttl_seconds: 600,
      },
    })
    return {
      agent_session_id: String(target.body.agent_session_id),
      delegation_edge_id: String(edge.body.delegation_edge_id),
    }
  }

  it('24: held, decided while the client waits, spent once', async () => {
    const gated = fields({ scope: 'x:write', ...(await delegated()) })
    const held = await exchange(gated)
    expect(held.status).toBe(401)
    expect(held.body).toMatchObject({ error: 'interaction_required', state: 'pending', tier: 'money' })
    expect(held.body.approval_id).toMatch(uuid)
    expect(typeof held.body.approval_type).toBe('string')
    expect(held.body.binding).toMatch(/^[0-9a-f]{64}$/)
    expect(held.body.requestId).toBe(held.headers.get('x-request-id'))
    expect(Date.parse(String(held.body.approval_expires_at))).toBeGreaterThan(Date.now())
    expect(held.headers.get('www-authenticate')).toBe('Bearer error="interaction_required"')

    const id = String(held.body.approval_id)
    let decidedAt = 0
    const waiting = fetch(`${stage.urls.sts}/approvals/${id}?wait=25`).then(async (response) => ({
      ...(await answerOf(response)),
      afterMs: performance.now() - decidedAt,
    }))
    const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 400, 'waits'))])
    expect(early).toBe('waits')
    decidedAt = performance.now()
    await stage.admin('POST', `/zones/${world.zoneId}/approvals/${id}/approve`, {})
    const decided = await waiting
    expect(decided.body).toMatchObject({ id, state: 'approved' })
    expect(decided.afterMs).toBeLessThan(8000)

    const minted = await exchange({ ...gated, approval_id: id })
    expect(minted.status).toBe(200)
    // A lost answer may be asked for again for two minutes, and is the same authority.
    const again = await exchange({ ...gated, approval_id: id })
    expect(again.status).toBe(200)
    expect(claimsOf(again).sid).toBe(claimsOf(minted).sid)
    // It is one use, however often and for however long it was asked for.
    const brief = await exchange({ ...gated, approval_id: id, ttl_seconds: '60' })
    expect(claimsOf(brief).exp).toBe(claimsOf(minted).exp)
    const spent = []
    for (const { body } of [brief, minted, again]) {
      const used = await fetch(`${stage.urls.gateway}/`, {
        headers: { authorization: `Bearer ${body.access_token}`, 'x-caracal-resource': world.resource },
      })
      await used.body?.cancel()
      spent.push(used.status)
    }
    expect(spent).toEqual([200, 401, 401])
    // Another request than the one that was approved never gets it.
    const second = await exchange({ ...gated, ...(await delegated()), approval_id: id })
    expect(second.status).not.toBe(200)
  })

  it('25: anybody may ask, nobody learns more than that there is none', async () => {
    const ask = async (path: string) => answerOf(await fetch(`${stage.urls.sts}/approvals/${path}`))
    expect((await ask('not-a-uuid')).status).toBe(404)
    expect((await ask('01890000-0000-7000-8000-000000000000')).status).toBe(404)
    expect((await ask('01890000-0000-7000-8000-000000000000?wait=-1')).status).toBe(400)
    const { body } = await exchange(fields({ scope: 'x:write', ...(await delegated()) }))
    const open = await ask(String(body.approval_id))
    expect(open.status).toBe(200)
    expect(Object.keys(open.body).sort()).toEqual(['expires_at', 'id', 'state'])
    expect(open.body.state).toBe('pending')
  })
})
