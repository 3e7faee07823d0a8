/** sdk-cli-console §12.8 and §16 check 58: what `caracal purge` does to a database and a Redis of one's own. */
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createWorld, openStage } from '../acceptance/clients/stage.ts'
import { runCaracal, workingDirectory } from '../cli/process.ts'
import { testKeys } from '../fixtures/settings.ts'
import { openRedisServer, openRefusingRedis, type RedisServer } from '../platform/bus/redis-server.ts'
import { type ExternalPostgres, externalPostgres } from './store.ts'

vi.setConfig({ testTimeout: 120_000 })

let postgres: ExternalPostgres
let redis: RedisServer
beforeAll(async () => {
  postgres = await externalPostgres()
  redis = await openRedisServer()
}, 60_000)
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

const clientOf = () => createClient({ url: `redis://${redis.host}:${redis.port}${redis.path}` })

async function withRedis<T>(work: (client: ReturnType<typeof clientOf>) => Promise<T>): Promise<T> {
  const client = clientOf()
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}

it('volumes: our tables and keys go, what belongs to others stays, and the schema can be made again', async () => {
  const DATABASE_URL = await postgres.emptyDatabase()
  const REDIS_URL = `redis://${redis.host}:${redis.port}${redis.path}`
  const env = { ...testKeys, DATABASE_URL, REDIS_URL, CARACAL_MODE: 'dev' }
  const purge = (...args: string[]) => runCaracal(['purge', ...args], { env })
  await postgres.run(DATABASE_URL, (sql) => sql`create table public.theirs (id int)`)
  const foreign = ['theirs', 'caracal:revoked:sessions:x']
  await withRedis(async (client) => {
    for (const key of foreign) await client.set(key, '1')
  })
  {
    await using stage = await openStage(env)
    await createWorld(stage)
    const refused = await purge('volumes', '--yes')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('the tables cannot be dropped while processes use them: caracal-server')
  }
  await withRedis((client) => client.set('api:console_fail:somebody@example.com', '1'))
  expect(await withRedis((client) => client.keys('caracal.*'))).toContain('caracal.policy.invalidate')

  const purged = await purge('volumes', '--yes')
  expect(purged.code, purged.stderr).toBe(0)
  expect(purged.stdout).toMatch(/dropped \d\d tables in /)
  expect((await withRedis((client) => client.keys('*'))).sort()).toEqual(foreign.toSorted())
  const left = await postgres.run(
    DATABASE_URL,
    (sql) => sql<{ name: string }[]>`
      select relname as name from pg_class where relnamespace = 'public'::regnamespace
      union
      select proname from pg_proc where pronamespace = 'public'::regnamespace`,
  )
  expect(left.map(({ name }) => name)).toEqual(['theirs'])
  expect((await purge('volumes', '--yes')).stdout).toContain('dropped 0 tables')
  expect((await runCaracal(['migrate'], { env })).code).toBe(0)
})

it('volumes: a Redis that refuses the login is named with its variable, and never the password', async () => {
  const refusal = 'WRONGPASS invalid username-password pair or user is disabled.'
  await using locked = await openRefusingRedis(refusal)
  const { code, stdout, stderr } = await runCaracal(['purge', 'volumes', '--yes'], {
    env: { REDIS_URL: `redis://:secret-word@127.0.0.1:${locked.port}`, CARACAL_MODE: 'dev' },
  })
  expect(code).toBe(1)
  expect(stderr).toContain(`REDIS_URL: Redis refused the login (${refusal})`)
  expect(stdout + stderr).not.toContain('secret-word')
})

it('volumes: a view of somebody else on a table of ours stops it, and nothing went', async () => {
  const DATABASE_URL = await postgres.emptyDatabase()
  const env = { DATABASE_URL, CARACAL_MODE: 'dev' }
  await runCaracal(['migrate'], { env })
  await postgres.run(DATABASE_URL, (sql) => sql`create view public.mine as select id from zones`)
  const { code, stderr } = await runCaracal(['purge', 'volumes', '--yes'], { env })
  expect(code).toBe(1)
  expect(stderr).toContain('other objects depend on')
  const [zones] = await postgres.run(
    DATABASE_URL,
    (sql) => sql`select to_regclass('zones') is not null as there`,
  )
  expect(zones).toEqual({ there: true })
})

it('web: accounts and sessions of the console', async () => {
  const cwd = workingDirectory()
  const DATABASE_URL = await postgres.emptyDatabase()
  const env = { DATABASE_URL, CARACAL_MODE: 'dev' }
  await runCaracal(['migrate'], { env, cwd })
  await postgres.run(DATABASE_URL, async (sql) => {
    await sql`insert into console_accounts (id, email) values ('a', 'a@x.io')`
    await sql`
      insert into console_sessions (id, token_hash, account_id, expires_at) values ('s', 'h', 'a', now())`
  })
  const { code, stdout } = await runCaracal(['purge', 'web', '--yes'], { env, cwd })
  expect(code).toBe(0)
  expect(stdout).toContain('removed 1 accounts and 1 sessions of the console')
})
