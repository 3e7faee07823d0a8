/**
 * kill -9 and SIGTERM of whole processes at the worst moments (storage-and-operations §21, checks 31
 * and 32): what was committed is published, what was granted has its evidence, what was buffered is
 * on the disk.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readScope } from '../../src/cli/demo/operator.ts'
import { createRedisBus } from '../../src/platform/bus/redis.ts'
import { eventually } from '../fixtures/eventually.ts'
import { untilReady } from '../load/server-process.ts'
import { deployGoverned, type Governed, withoutRedis } from './deployment.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

let world: Governed
let sql: postgres.Sql

/** An edge between two fresh sessions, and how to revoke it. */
async function edge(): Promise<{ readonly id: string; revoke(): Promise<number> }> {
  const { agent, lifecycle, identity } = world.actor
  const source = await agent.startSession(lifecycle)
  const target = await agent.startSession(lifecycle)
  const id = await agent.delegate(lifecycle, source, target, [readScope])
  return {
    id,
    async revoke() {
      const url = `${world.deployment.urls.coordinator}/zones/${identity.zoneId}/delegations/${id}/revoke`
      const headers = { authorization: `Bearer ${lifecycle}` }
      return (await fetch(url, { method: 'PATCH', headers })).status
    },
  }
}

/** Everything a stream holds. */
async function entriesOf(streams: readonly string[]) {
  await using bus = createRedisBus({
    url: world.deployment.redisUrl ?? '',
    log: pino({ level: 'silent' }),
    settings: { REDIS_DIAL_TIMEOUT: 5000, REDIS_READ_TIMEOUT: 3000 },
  })
  return (await Promise.all(streams.map((stream) => bus.range(stream, '-', 100_000)))).flat()
}

const evidenceOf = async (requestIds: readonly string[]): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    select count(distinct request_id)::int as n from audit_events where request_id = any(${requestIds}::text[])`
  return row?.n ?? 0
}

/** How often the STS said that it ends. */
const stops = (): number =>
  readFileSync(join(world.deployment.directory, 'sts-1.log'), 'utf8').split('"msg":"stopping"').length - 1

const title = withoutRedis === null ? 'whole processes' : `whole processes (${withoutRedis})`
describe.skipIf(withoutRedis !== null)(title, () => {
  beforeAll(async () => {
    world = await deployGoverned()
    sql = postgres({ ...world.deployment.database(), max: 2 })
  })
  afterAll(async () => {
    await sql?.end()
    await world?.[Symbol.asyncDispose]()
  })

  it('coordinator killed between commit and publish: the events are published all the same', async () => {
    const edges = await Promise.all(Array.from({ length: 5 }, edge))
    await world.store('redis').stop?.()
    for (const one of edges) expect(await one.revoke()).toBe(200)
    await world.process('coordinator').end('SIGKILL')
    const isTold = async () => {
      const told = new Set(
        (await entriesOf(['caracal.sessions.revoke'])).map(({ fields }) => fields.delegation_edge_id),
      )
      return edges.filter(({ id }) => told.has(id)).length
    }
    await world.store('redis').start()
    world.process('coordinator').start()
    await eventually(async () => (await isTold()) === edges.length, { timeoutMs: 40_000, intervalMs: 200 })
  })

  it('coordinator killed under load, again and again: every row is published, nothing else is', async () => {
    let running = true
    const worker = async (): Promise<void> => {
      while (running)
        await edge()
          .then(
            ({ revoke }) => revoke(),
            () => sleep(50),
          )
          .catch(() => sleep(50))
    }
    const workers = Array.from({ length: 4 }, worker)
    for (let round = 0; round < 3; round += 1) {
      await sleep(400 + round * 137)
      await world.process('coordinator').end('SIGKILL')
      world.process('coordinator').start()
      await untilReady(world.process('coordinator'))
    }
    await sleep(300)
    running = false
    await Promise.all(workers)
    await eventually(
      async () => {
        const [left] = await sql`select count(*)::int as n from caracal_outbox where status <> 'published'`
        return left?.n === 0
      },
      // The rows of a killed process are its own until their lease ends.
      { timeoutMs: 45_000, intervalMs: 250 },
    )
    const rows = await sql<{ id: string; topic: string }[]>`
      select id, topic from caracal_outbox where topic <> 'caracal.audit.events'`
    expect(rows.length).toBeGreaterThan(20)
    const committed = new Set(rows.map(({ id }) => id))
    const entries = await entriesOf([...new Set(rows.map(({ topic }) => topic))])
    const published = new Set(entries.map(({ fields }) => fields.outbox_id))
    expect(rows.filter(({ id }) => !published.has(id))).toEqual([])
    expect([...published].filter((id) => id !== undefined && !committed.has(id))).toEqual([])
  })

  it('STS killed under load, again and again: every mandate that was returned has its evidence', async () => {
    const granted: string[] = []
    let running = true
    const worker = async (): Promise<void> => {
      while (running) {
        const minted = await world.mint()
        if (minted.ok) granted.push(minted.requestId)
        else await sleep(20)
      }
    }
    const workers = Array.from({ length: 8 }, worker)
    for (let round = 0; round < 3; round += 1) {
      const before = granted.length
      await eventually(() => granted.length > before + 50, { timeoutMs: 15_000 })
      await world.process('sts').end('SIGKILL')
      world.process('sts').start()
      await untilReady(world.process('sts'))
    }
    running = false
    await Promise.all(workers)
    expect(new Set(granted).size).toBeGreaterThan(150)
    await eventually(async () => (await evidenceOf(granted)) === granted.length, {
      timeoutMs: 40_000,
      intervalMs: 200,
    })
  })

  it.each(['down', 'hanging'] as const)(
    'check 31: SIGTERM with Redis %s and events in hand: they are in replay files before the exit',
    async (how) => {
      const redis = world.store('redis')
      if (how === 'down') await redis.stop?.()
      else process.kill(redis.pid(), 'SIGSTOP')
      // Answered, and their evidence is neither on the bus nor, while the bus may still answer, on the disk.
      const refused = await Promise.all(Array.from({ length: 5 }, () => world.mintForNothing()))
      expect(refused.map(({ ok }) => ok)).not.toContain(true)
      const began = performance.now()
      const ending = await world.process('sts').end('SIGTERM')
      expect(performance.now() - began).toBeLessThan(15_000)
      expect(ending).toBe('0')
      const journal = join(world.deployment.directory, 'journal-sts-1')
      const written = readdirSync(journal)
        .filter((name) => name.endsWith('.ndjson'))
        .map((name) => readFileSync(join(journal, name), 'utf8'))
        .join('')
      for (const { requestId } of refused) expect(written).toContain(requestId)

      if (how === 'down') await redis.start()
      else process.kill(redis.pid(), 'SIGCONT')
      world.process('sts').start()
      const ids = refused.map(({ requestId }) => requestId)
      await eventually(async () => (await evidenceOf(ids)) === ids.length, {
        timeoutMs: 30_000,
        intervalMs: 200,
      })
      await world.recovered(20_000)
    },
  )

  it('check 31: a second SIGTERM ends the process at once, also while Redis hangs', async () => {
    const redis = world.store('redis')
    process.kill(redis.pid(), 'SIGSTOP')
    expect((await world.mintForNothing()).ok).toBe(false)
    const sts = world.process('sts')
    const told = stops()
    const ended = sts.end('SIGTERM')
    await eventually(() => stops() > told)
    const began = performance.now()
    process.kill(sts.pid, 'SIGTERM')
    expect(await ended).toBe('143')
    expect(performance.now() - began).toBeLessThan(8000)
    process.kill(redis.pid(), 'SIGCONT')
    sts.start()
    await world.recovered(20_000)
  })
})
