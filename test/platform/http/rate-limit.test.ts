import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPostgresEphemera, type PostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { oauthErrors } from '../../../src/platform/http/error-style.ts'
import { type FixedWindow, fixedWindow } from '../../../src/platform/http/rate-limit.ts'
import { renderError, toCaracalError } from '../../../src/platform/http/render-error.ts'
import { createRequestContext } from '../../../src/platform/http/request-context.ts'
import { createLogger } from '../../../src/platform/observe/logger.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'

const lines: string[] = []
const { log } = createLogger({
  level: 'warn',
  env: 'test',
  version: '0',
  maxFieldBytes: 0,
  sampleDebug: 1,
  destination: { write: (line) => void lines.push(line) },
})

let database: TestDatabase
let ephemera: PostgresEphemera
beforeAll(async () => {
  database = await createTestDatabase()
  ephemera = createPostgresEphemera({ db: database.db, log })
})
afterAll(async () => {
  await ephemera?.[Symbol.asyncDispose]()
  await database?.[Symbol.asyncDispose]()
})

function limited(window: Partial<FixedWindow>): Hono {
  const app = new Hono()
  app.use((c, next) => {
    c.set('requestContext', createRequestContext({ requestId: 'r', trace: null, clientIp: 'ip', log }))
    return next()
  })
  app.onError((error, c) => renderError(c, toCaracalError(error), oauthErrors))
  app.use(
    fixedWindow({
      ephemera,
      limit: 3,
      key: (c) => `test:${c.req.query('who') ?? ''}`,
      onUnavailable: 'skip',
      ...window,
    }),
  )
  app.get('/', (c) => c.text('in'))
  return app
}

async function statuses(app: Hono, path: string, count: number): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await app.request(path)).status)
  return seen
}

describe('fixed window', () => {
  test('counts per key and answers 429 with Retry-After', async () => {
    const app = limited({})
    await leftOfMinute()
    expect(await statuses(app, '/?who=a', 4)).toEqual([200, 200, 200, 429])
    expect(await statuses(app, '/?who=b', 1)).toEqual([200])
    const refused = await app.request('/?who=a')
    // The rest of the clock's minute, however long ago its first request was.
    const left = 60 - ((Date.now() / 1000) % 60)
    expect(Math.abs(Number(refused.headers.get('retry-after')) - left)).toBeLessThan(3)
    expect(await refused.json()).toMatchObject({ error: 'rate_limited' })
  })

  test('the cap, the code and the body are the surface’s own', async () => {
    const app = limited({
      limit: 1,
      retryAfterCap: 30,
      code: 'provider_rate_limited',
      body: { valid: false },
    })
    await leftOfMinute()
    await app.request('/?who=c')
    const refused = await app.request('/?who=c')
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(30)
    expect(await refused.json()).toMatchObject({ error: 'provider_rate_limited', valid: false })
  })

  test('0 disables it, a null key is not counted', async () => {
    expect(await statuses(limited({ limit: 0 }), '/?who=d', 5)).toEqual([200, 200, 200, 200, 200])
    expect(await statuses(limited({ key: () => null }), '/?who=e', 5)).toEqual([200, 200, 200, 200, 200])
  })

  test('without the counters one limiter lets through with a warning, another refuses', async () => {
    const lost = await database.open()
    const unreachable = createPostgresEphemera({ db: lost, log })
    await lost[Symbol.asyncDispose]()
    expect(await statuses(limited({ ephemera: unreachable }), '/?who=f', 5)).toEqual([
      200, 200, 200, 200, 200,
    ])
    expect(lines.join('')).toContain('rate_limit_skipped')
    expect(await statuses(limited({ ephemera: unreachable, onUnavailable: 'refuse' }), '/?who=f', 1)).toEqual(
      [503],
    )
    await unreachable[Symbol.asyncDispose]()
  })
})
