import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage({ settings: { METRICS_BEARER: 'scrape' } })
})
afterAll(() => stage[Symbol.asyncDispose]())

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('conventions and auth (control-api §16)', () => {
  test('1: /health answers without cache-control', async () => {
    const answer = await stage.send('GET', '/health', undefined, { token: null })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ ok: true })
    expect(answer.headers.get('cache-control')).toBeNull()
  })

  test('2: every unusable credential is 401 with the security headers', async () => {
    const headers = [
      {},
      { authorization: 'Basic x' },
      { authorization: 'Bearer    ' },
      { authorization: `Bearer ${'a'.repeat(8193)}` },
      { authorization: `Bearer ${adminToken.slice(0, -1)}` },
      { authorization: `Bearer ${adminToken}x` },
      { authorization: `bearer ${adminToken}` },
    ]
    for (const header of headers) {
      const answer = await stage.send('GET', '/v1/zones', undefined, { token: null, headers: header })
      expect(answer.status).toBe(401)
      expect(answer.body.error).toBe('invalid_admin_token')
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="caracal-control"/)
      expect(answer.headers.get('x-request-id')).toMatch(uuid)
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
  })

  test('3: a well-formed request id is echoed, another is replaced', async () => {
    const kept = await stage.send('GET', '/v1/zones', undefined, { headers: { 'x-request-id': 'abc-1' } })
    expect(kept.headers.get('x-request-id')).toBe('abc-1')
    const replaced = await stage.send('GET', '/v1/zones', undefined, {
      headers: { 'x-request-id': 'bad id!' },
    })
    expect(replaced.headers.get('x-request-id')).toMatch(uuid)
  })

  test('4: malformed JSON is 400 before the credential is looked at', async () => {
    const answer = await stage.send('POST', '/v1/zones', undefined, { raw: '{bad' })
    expect(answer.status).toBe(400)
    expect(answer.body.error).toBe('invalid_body')
    expect(typeof answer.body.error_description).toBe('string')
    expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'))
    expect((await stage.send('POST', '/v1/zones', undefined, { raw: '{bad', token: null })).status).toBe(400)
    expect((await stage.send('POST', '/v1/zones', undefined, { raw: '' })).status).toBe(400)
    const text = await stage.send('POST', '/v1/zones', undefined, {
      raw: 'name=x',
      headers: { 'content-type': 'text/plain' },
    })
    expect(text.status).toBe(415)
  })

  test('5: 413 over the body limit; unknown paths need a credential first', async () => {
    const big = await stage.send('POST', '/v1/zones', undefined, { raw: `"${'a'.repeat(1_048_576)}"` })
    expect(big.status).toBe(413)
    expect(big.body.error).toBe('payload_too_large')
    const unknown = await stage.send('GET', '/v1/nope')
    expect(unknown.status).toBe(404)
    expect(unknown.body.error).toBe('not_found')
    expect((await stage.send('GET', '/v1/nope', undefined, { token: null })).status).toBe(401)
    expect((await stage.send('GET', '/v1/zones/')).status).toBe(404)
  })

  test('6: the sixty-first failed credential of a minute is 429, a valid one still works', async () => {
    const { send } = await stage.replica({ ADMIN_AUTH_FAIL_LIMIT_PER_MIN: 60, TRUST_PROXY: true })
    await stage.forgetCounters()
    // An address of its own: all test files share the counters of a deployment.
    const headers = { 'x-forwarded-for': '198.51.100.6' }
    await leftOfMinute()
    let last = 0
    for (let attempt = 1; attempt <= 61; attempt += 1) {
      last = (await send('GET', '/v1/zones', undefined, { token: `wrong-${attempt}`, headers })).status
      if (attempt === 60) expect(last).toBe(401)
    }
    expect(last).toBe(429)
    expect((await send('GET', '/v1/zones', undefined, { headers })).status).toBe(200)
  })

  test('path ids outside the pattern are 400', async () => {
    expect((await stage.send('GET', '/v1/zones/a%20b')).body.error).toBe('invalid_params')
  })

  test('HEAD answers like GET without a body', async () => {
    const answer = await stage.send('HEAD', '/v1/zones')
    expect(answer.status).toBe(200)
    expect(answer.text).toBe('')
  })

  test('readiness, metrics and the OpenAPI document answer', async () => {
    expect((await stage.send('GET', '/ready', undefined, { token: null })).body).toEqual({ ok: true })
    const metrics = await stage.send('GET', '/metrics', undefined, { token: 'scrape' })
    expect(metrics.text).toContain('caracal_api_outbox_pending_total')
    const document = await stage.send('GET', '/openapi.json', undefined, { token: null })
    expect(document.body.openapi).toBe('3.1.0')
  })

  test('the per-address limit answers 429 with Retry-After before the credential is looked at', async () => {
    const { send } = await stage.replica({ API_V1_RATE_LIMIT_PER_MIN: 2, TRUST_PROXY: true })
    await stage.forgetCounters()
    const options = { token: null, headers: { 'x-forwarded-for': '198.51.100.7' } }
    await leftOfMinute()
    await send('GET', '/v1/zones', undefined, options)
    await send('GET', '/v1/zones', undefined, options)
    const answer = await send('GET', '/v1/zones', undefined, options)
    expect(answer.status).toBe(429)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(30)
  })
})
