/**
 * kill -9 and SIGTERM of whole processes at the worst moments (storage-and-operations §21, checks 31
 * and 32): what was granted has its evidence, what was buffered is on the disk.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { eventually } from '../fixtures/eventually.ts'
import { untilReady } from '../load/server-process.ts'
import { deployGoverned, type Governed, withoutRedis } from './deployment.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 180_000 })

let world: Governed
let sql: postgres.Sql

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
      // What had not reached it before the signal is told so, and owes no evidence.
      const inHand = refused.filter(({ body }) => !body.includes('draining'))
      expect(inHand.length, JSON.stringify(refused)).toBeGreaterThan(0)
      for (const { requestId, body } of inHand) expect(written, body).toContain(requestId)

      if (how === 'down') await redis.start()
      else process.kill(redis.pid(), 'SIGCONT')
      world.process('sts').start()
      const ids = inHand.map(({ requestId }) => requestId)
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
