/** storage-and-operations §21, check 24: Redis goes and comes back under a running server. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runCaracal, startCaracal, workingDirectory } from '../cli/process.ts'
import { eventually } from '../fixtures/eventually.ts'
import { type CuttableProxy, createCuttableProxy } from '../platform/bus/cuttable-proxy.ts'
import { openRedisServer, openRefusingRedis, type RedisServer } from '../platform/bus/redis-server.ts'
import { allPorts, type ExternalPostgres, externalPostgres, get, stableEnv } from './store.ts'

// Whole processes start and end here; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

const names = ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const

describe('with Redis', () => {
  let store: ExternalPostgres
  let redis: RedisServer
  let proxy: CuttableProxy

  beforeAll(async () => {
    store = await externalPostgres()
    redis = await openRedisServer()
    proxy = await createCuttableProxy({ host: redis.host, port: redis.port })
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  })

  it('check 24: every role says that Redis is away, nothing exits, all recover by themselves', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { ports, env } = await allPorts()
    const cwd = workingDirectory()
    const server = startCaracal(['serve'], {
      cwd,
      env: {
        ...stableEnv,
        ...env,
        DATABASE_URL,
        REDIS_URL: `redis://127.0.0.1:${proxy.port}${redis.path}`,
        AUDIT_REPLAY_DIR: join(cwd, 'replay'),
      },
    })
    expect(await server.line('ready')).toMatchObject({ bus: 'redis' })
    const url = (name: (typeof names)[number], path: string) => `http://127.0.0.1:${ports[name]}${path}`
    for (const name of names) await eventually(async () => (await get(url(name, '/ready'))).status === 200)

    await proxy.cut()
    for (const name of names)
      await eventually(
        async () => {
          const { status, body } = await get(url(name, '/ready'))
          return status === 503 && /redis_un(?:reachable|available)|consumer_unhealthy/.test(body)
        },
        { timeoutMs: 12_000, intervalMs: 200 },
      )
    for (const name of ['sts', 'control', 'coordinator', 'gateway'] as const)
      expect((await get(url(name, '/health'))).status, name).toBe(200)
    expect(server.child.exitCode).toBeNull()

    // sdk-cli-console check 48: the same, as `caracal status` tells it.
    const told = await runCaracal(['status', '--ready', '--json'], {
      env: Object.fromEntries(
        names.map((name) => [
          `CARACAL_${name === 'control' ? 'API' : name.toUpperCase()}_URL`,
          url(name, ''),
        ]),
      ),
    })
    expect(told.code).toBe(1)
    const { mode, services } = JSON.parse(told.stdout) as {
      mode: string
      services: { name: string; ok: boolean; detail: string }[]
    }
    expect([mode, services.map(({ name, ok }) => [name, ok])]).toEqual([
      'ready',
      ['api', 'sts', 'gateway', 'audit', 'coordinator'].map((name) => [name, false]),
    ])
    for (const { detail } of services) expect(detail).toMatch(/^503 (?:redis_un|consumer_unhealthy)/)

    await proxy.restore()
    for (const name of names)
      await eventually(async () => (await get(url(name, '/ready'))).status === 200, {
        timeoutMs: 60_000,
        intervalMs: 200,
      })
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })

  it('a Redis that is not there is one sentence naming REDIS_URL', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { env } = await allPorts()
    const { code, stderr } = await runCaracal(['serve', '--role=audit'], {
      env: {
        ...stableEnv,
        ...env,
        DATABASE_URL,
        REDIS_URL: 'redis://:secret-word@127.0.0.1:1',
        SHUTDOWN_GRACE_MS: '1000',
      },
    })
    expect(code).toBe(1)
    expect(stderr).toContain('REDIS_URL: Redis cannot be used')
    expect(stderr).not.toContain('secret-word')
    // Nothing was recorded by a start that failed: the next one may choose again.
    expect(await store.run(DATABASE_URL, (sql) => sql`select 1 from deployment`)).toHaveLength(0)
  })

  it.each([
    ['a wrong password', ':secret-word@', 'WRONGPASS invalid username-password pair or user is disabled.'],
    ['no password', '', 'NOAUTH Authentication required.'],
  ])('%s is a refused login, told at once and naming REDIS_URL', async (_, credentials, refusal) => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { env } = await allPorts()
    await using redisThatRefuses = await openRefusingRedis(refusal)
    const began = Date.now()
    const { code, stdout, stderr } = await runCaracal(['serve', '--role=audit'], {
      env: {
        ...stableEnv,
        ...env,
        DATABASE_URL,
        REDIS_URL: `redis://${credentials}127.0.0.1:${redisThatRefuses.port}`,
        SHUTDOWN_GRACE_MS: '60000',
      },
    })
    expect(code).toBe(1)
    expect(stderr).toContain(`REDIS_URL: Redis refused the login (${refusal})`)
    expect(Date.now() - began).toBeLessThan(30_000)
    expect(stdout + stderr).not.toContain('secret-word')
  })
})
