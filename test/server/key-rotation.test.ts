/** storage-and-operations §21, checks 19, 20 and 20a: the key of the secret store is changed under a deployment. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createEnvelopeCipher } from '../../src/platform/crypto/envelope.ts'
import { Caracal } from '../../src/sdk/index.ts'
import { close, createWorld, listen, openStage, type Stage, type World } from '../acceptance/clients/stage.ts'
import { runCaracal } from '../cli/process.ts'
import { testKeys } from '../fixtures/settings.ts'
import { type ExternalPostgres, externalPostgres } from './store.ts'

vi.setConfig({ testTimeout: 120_000 })

const kekA = randomBytes(32).toString('hex')
const kekB = randomBytes(32).toString('hex')
const keyId = (kek: string) => createEnvelopeCipher({ kek: Buffer.from(kek, 'hex') }).keyId
const apiKey = `sk-upstream-${randomBytes(12).toString('hex')}`
const laterKey = `sk-later-${randomBytes(12).toString('hex')}`

let postgres: ExternalPostgres
let DATABASE_URL: string
let upstream: Server
let upstreamUrl: string
let received: unknown

beforeAll(async () => {
  postgres = await externalPostgres()
  DATABASE_URL = await postgres.emptyDatabase()
  upstream = createServer((request, response) => {
    received = request.headers['x-api-key']
    response.end('{}')
  })
  upstreamUrl = await listen(upstream)
}, 60_000)
afterAll(async () => {
  await close(upstream)
  await postgres?.[Symbol.asyncDispose]()
})

type Keks = { readonly SECRET_STORE_KEK: string; readonly SECRET_STORE_KEK_PREVIOUS?: string }
const rotating: Keks = { SECRET_STORE_KEK: kekB, SECRET_STORE_KEK_PREVIOUS: kekA }

const start = (keks: Keks): Promise<Stage> =>
  openStage({ ...testKeys, ...keks, DATABASE_URL, CARACAL_MODE: 'dev', ISSUER_URL: 'http://issuer.test' })

const secrets = (args: string[], keks: Keks) =>
  runCaracal(['secrets', ...args], { env: { ...keks, DATABASE_URL, CARACAL_MODE: 'dev' } })

/** Number of envelopes under each key, in every column of bytes there is. */
async function envelopes(): Promise<Record<string, number>> {
  return postgres.run(DATABASE_URL, async (sql) => {
    const columns = await sql<{ name: string; column: string }[]>`
      select table_name as name, column_name as column
      from information_schema.columns
      where table_schema = 'public' and udt_name = 'bytea'`
    const counts: Record<string, number> = {}
    for (const { name, column } of columns)
      for (const { key } of await sql<{ key: string }[]>`
        select encode(substring(${sql(column)} from 5 for 8), 'hex') as key
        from ${sql(name)}
        where substring(${sql(column)} from 1 for 4) = 'CSS1'`)
        counts[key] = (counts[key] ?? 0) + 1
    return counts
  })
}

/** Every row of every table as text. */
async function dump(): Promise<string> {
  return postgres.run(DATABASE_URL, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select table_name as name from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE'`
    const rows: string[] = []
    for (const { name } of tables)
      for (const { row } of await sql<{ row: string }[]>`select t::text as row from ${sql(name)} t`)
        rows.push(row)
    return rows.join('\n')
  })
}

/** The secret of the application is verified, a mandate signed, and the credential of the provider opened. */
async function governedCall(stage: Stage, world: World, resource = world.resource): Promise<number> {
  received = undefined
  const caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [resource],
    logger: () => undefined,
  })
  try {
    const call = caracal.applicationTransport(resource, { scopes: ['x:read'] })
    const response = await call(caracal.gatewayRequest(resource, '/').url)
    await response.body?.cancel()
    return response.status
  } finally {
    await caracal.close()
  }
}

it('19, 20, 20a: old and new side by side, re-sealed while it runs, and the old key taken away', async () => {
  let world: World
  let provider: unknown
  {
    await using stage = await start({ SECRET_STORE_KEK: kekA })
    world = await createWorld(stage, {
      upstreamUrl,
      provider: { name: 'Key', kind: 'api_key', config_json: { header_name: 'X-Api-Key', api_key: apiKey } },
    })
    const zone = `/zones/${world.zoneId}`
    ;({
      items: [provider],
    } = (await stage.admin('GET', `${zone}/providers`)) as { items: unknown[] })
    await stage.admin('POST', `${zone}/notification-sinks`, {
      name: 'Pager',
      url: 'https://pager.example.com/hook',
      event_types: ['step_up_issued'],
    })
    await stage.admin('POST', `${zone}/workloads`, { name: 'builder' })
    expect(await governedCall(stage, world)).toBe(200)
    expect(received).toBe(apiKey)
  }
  const before = await envelopes()
  expect(Object.keys(before)).toEqual([keyId(kekA)])
  expect(before[keyId(kekA)]).toBeGreaterThanOrEqual(6)

  {
    await using stage = await start(rotating)
    expect(await governedCall(stage, world)).toBe(200)
    expect(received).toBe(apiKey)
    await stage.admin('POST', `/zones/${world.zoneId}/providers`, {
      name: 'Later',
      kind: 'api_key',
      config_json: { header_name: 'X-Api-Key', api_key: laterKey },
    })
    const mixed = await envelopes()
    expect(mixed[keyId(kekA)]).toBe(before[keyId(kekA)])
    expect(mixed[keyId(kekB)]).toBe(1)

    const dry = await secrets(['reseal', '--dry-run', '--json'], rotating)
    expect(dry).toMatchObject({ code: 0, stderr: expect.stringContaining('running as caracal_app instead') })
    expect(JSON.parse(dry.stdout)).toMatchObject({
      ok: true,
      dry_run: true,
      key_id: keyId(kekB),
      resealed: before[keyId(kekA)],
      current: 1,
      left: before[keyId(kekA)],
      failures: [],
    })
    expect(await envelopes()).toEqual(mixed)

    const done = await secrets(['reseal'], rotating)
    expect(done.code).toBe(0)
    expect(done.stdout).toContain('credential_keys.envelope: 1 moved, 0 current')
    expect(done.stdout).toContain('SECRET_STORE_KEK_PREVIOUS can go')
    expect(await envelopes()).toEqual({ [keyId(kekB)]: (before[keyId(kekA)] ?? 0) + 1 })
    // The servers that run meanwhile hold the keys they opened.
    expect(await governedCall(stage, world)).toBe(200)
  }

  const again = await secrets(['reseal', '--json'], { SECRET_STORE_KEK: kekB })
  expect(again.code).toBe(0)
  expect(JSON.parse(again.stdout)).toMatchObject({ resealed: 0, raced: 0, failed: 0, left: 0 })

  {
    await using stage = await start({ SECRET_STORE_KEK: kekB })
    expect(await governedCall(stage, world)).toBe(200)
    expect(received).toBe(apiKey)
  }
  const rows = await dump()
  for (const secret of [apiKey, laterKey, world.clientSecret]) expect(rows).not.toContain(secret)

  // One value that was left behind: that one answers 5xx, the server and everything else go on.
  const { id } = provider as { id: string }
  const ref = `zones/${world.zoneId}/providers/${id}/secretConfig`
  const envelope = createEnvelopeCipher({ kek: Buffer.from(kekA, 'hex') }).seal(Buffer.from('{}'), ref)
  await postgres.run(DATABASE_URL, async (sql) => {
    await sql`update secret_store set envelope = ${envelope}, version = version + 1 where ref = ${ref}`
  })
  await using stage = await start({ SECRET_STORE_KEK: kekB })
  expect(await governedCall(stage, world)).toBeGreaterThanOrEqual(500)
  expect(received).toBeUndefined()
  expect((await fetch(`${stage.urls.sts}/health`)).status).toBe(200)
  const { code, stderr } = await secrets(['reseal'], { SECRET_STORE_KEK: kekB })
  expect(code).toBe(1)
  expect(stderr).toContain(`secret_store.envelope of ${ref}: envelope is sealed under a different KEK`)
})

it('secrets migrate refuses every target, each for its own reason', async () => {
  const refusal = async (target: string, env: Record<string, string> = {}) => {
    const { code, stdout } = await runCaracal(['secrets', 'migrate', target, '--json'], { env })
    return [code, (JSON.parse(stdout) as { error: string }).error]
  }
  expect(await refusal('builtin')).toEqual([1, 'same_backend'])
  expect(await refusal('floppy')).toEqual([1, 'unknown_backend'])
  expect(await refusal('vault')).toEqual([1, 'secret_backend_unavailable'])
  expect(await refusal('builtin', { CARACAL_SECRET_BACKEND: 'custom' })).toEqual([
    1,
    'secret_backend_unavailable',
  ])
  expect((await runCaracal(['secrets'])).code).toBe(1)
  expect((await runCaracal(['secrets', 'migrate'])).code).toBe(1)
})

it('reseal says what it misses, and starts no empty store to look in', async () => {
  const { code, stderr } = await runCaracal(['secrets', 'reseal'])
  expect(code).toBe(1)
  expect(stderr).toContain('there is no store in ')
  const keyless = await runCaracal(['secrets', 'reseal'], { env: { DATABASE_URL, CARACAL_MODE: 'stable' } })
  expect(keyless).toMatchObject({ code: 1, stderr: expect.stringContaining('SECRET_STORE_KEK is required') })
})

it('one walk at a time', async () => {
  await postgres.run(DATABASE_URL, async (sql) => {
    await sql`select pg_advisory_lock(hashtext('secrets_reseal'))`
    const { code, stderr } = await secrets(['reseal'], { SECRET_STORE_KEK: kekB })
    expect(code).toBe(1)
    expect(stderr).toContain('another caracal secrets reseal is running')
  })
})
