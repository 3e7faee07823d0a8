/**
 * The failure matrix of storage-and-operations §17 as a table: role × {Postgres, Redis, STS, disk}.
 * Real processes, one for each role, on a real Postgres and a real redis-server. Nothing is restarted
 * that did not have to be, and nobody operates anything: what comes back, comes back by itself.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { resource } from '../../src/cli/demo/operator.ts'
import { eventually } from '../fixtures/eventually.ts'
import { untilReady } from '../load/server-process.ts'
import {
  deployGoverned,
  type Governed,
  metricsBearer,
  type RoleName,
  roleNames,
  withoutRedis,
} from './deployment.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 180_000 })

let world: Governed
let mandates: string[] = []

const codeOf = (body: string): unknown => (JSON.parse(body) as { error?: unknown }).error
const reasonOf = (body: string): unknown => {
  const told = JSON.parse(body) as { reason?: unknown; error?: unknown }
  return told.reason ?? told.error
}
const mandate = (): string => {
  const one = mandates.pop()
  if (one === undefined) throw new Error('no mandate is left')
  return one
}
/** A call that goes on until it is left. */
const openStream = async (bearer: string): Promise<Response> => {
  const stream = await fetch(`${world.deployment.urls.gateway}/items?stream`, {
    headers: { authorization: `Bearer ${bearer}`, 'x-caracal-resource': resource },
  })
  expect(stream.status).toBe(200)
  return stream
}
const adminZones = () => world.ask('control', '/v1/zones?limit=1', world.deployment.adminToken)
const createZone = () =>
  fetch(`${world.deployment.urls.control}/v1/zones`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.deployment.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `Zone ${Date.now()}` }),
  })
const jwks = () => world.ask('sts', `/.well-known/jwks.json?zone_id=${world.actor.identity.zoneId}`)
const journalFiles = (): number =>
  world.deployment.journals
    .flatMap(({ path }) => readdirSync(path))
    .filter((name) => name.endsWith('.ndjson')).length

/**
 * Exchanges go on until `work` is done. The STS remembers for a moment that a caller is not shut out, so
 * those that meet the end of Redis are still decided, and their evidence finds no bus.
 */
async function whileExchanging(work: () => Promise<unknown>): Promise<void> {
  let over = false
  const exchanging = Array.from({ length: 4 }, async () => {
    while (!over) await world.mintForNothing()
  })
  await work().finally(() => {
    over = true
  })
  await Promise.all(exchanging)
}

type Readiness = readonly [role: RoleName, status: number, reason: RegExp | null, health?: number]

/** Soon every role says what the table has, and goes on saying that it lives. */
async function expectReadiness(table: readonly Readiness[]): Promise<void> {
  await Promise.all(
    table.map(([role, status, reason, health = 200]) =>
      eventually(
        async () => {
          const ready = await world.ask(role, '/ready')
          expect([role, ready.status, ready.body]).toEqual([role, status, expect.anything()])
          if (reason !== null) expect(reasonOf(ready.body)).toMatch(reason)
          expect([role, (await world.ask(role, '/health')).status]).toEqual([role, health])
          return true
        },
        { timeoutMs: 30_000, intervalMs: 200 },
      ),
    ),
  )
  for (const role of roleNames) expect(world.process(role).deaths, role).toEqual([])
}

describe.skipIf(withoutRedis !== null)(
  `failure matrix${withoutRedis === null ? '' : ` (${withoutRedis})`}`,
  () => {
    beforeAll(async () => {
      world = await deployGoverned()
    })
    afterAll(() => world?.[Symbol.asyncDispose]())

    it('check 23: in steady state every role is alive and ready', async () => {
      await expectReadiness(roleNames.map((role) => [role, 200, null]))
    })

    describe('Postgres down', () => {
      let stream: Response
      beforeAll(async () => {
        mandates = await world.mandates(3)
        stream = await openStream(mandate())
        await world.store('postgres').stop?.()
      })

      it('every role says so', () =>
        expectReadiness([
          ['control', 503, /^postgres_unreachable$/],
          ['coordinator', 503, /^postgres_unreachable$/],
          ['sts', 503, /^postgres_unreachable$/],
          ['audit', 503, /^postgres_unreachable$/],
        ]))
      it('sts: exchanges and keys are 503 sts_unavailable', async () => {
        const minted = await world.mint()
        expect([minted.status, codeOf(minted.body)]).toEqual([503, 'sts_unavailable'])
        const keys = await jwks()
        expect([keys.status, codeOf(keys.body)]).toEqual([503, 'sts_unavailable'])
      })
      it('gateway: new requests are 503 sts_unavailable, a running stream goes on', async () => {
        const answer = await world.call(mandate())
        expect([answer.status, codeOf(answer.body)]).toEqual([503, 'sts_unavailable'])
        const reader = stream.body?.getReader()
        for (let chunk = 0; chunk < 5; chunk += 1) expect((await reader?.read())?.done).toBe(false)
        await reader?.cancel()
      })
      it('coordinator and control: 503', async () => {
        const session = await world.startSession()
        expect([session.status, codeOf(session.body)]).toEqual([503, 'service_unavailable'])
        expect((await adminZones()).status).toBe(503)
      })
      it('all of it is back by itself, and nothing was dead-lettered', async () => {
        await world.store('postgres').start()
        await world.recovered(30_000)
        const metrics = await world.ask('audit', '/metrics', metricsBearer)
        expect(metrics.body).toMatch(/^caracal_audit_dlq_total(?:\{[^}]*\})? 0$/m)
      })
    })

    describe('Redis down', () => {
      beforeAll(async () => {
        mandates = await world.mandates(3)
        await whileExchanging(async () => {
          await world.store('redis').stop?.()
          await eventually(() => journalFiles() > 0)
        })
      })

      it('every role says so; only the ledger calls itself unwell', () =>
        expectReadiness([
          ['control', 503, /^redis_unreachable$/],
          ['coordinator', 503, /^redis_unreachable$/],
          ['sts', 503, /^redis_un(?:reachable|available)$/],
          ['gateway', 503, /^redis_unreachable$/],
          ['audit', 503, /./, 503],
        ]))
      it('sts: every exchange is 503 sts_unavailable, its evidence is spilled', async () => {
        const minted = await world.mint()
        expect([minted.status, codeOf(minted.body)]).toEqual([503, 'sts_unavailable'])
        expect(journalFiles()).toBeGreaterThan(0)
      })
      it('gateway: a mandate that cannot be claimed is 503 sts_unavailable', async () => {
        const answer = await world.call(mandate())
        expect([answer.status, codeOf(answer.body)]).toEqual([503, 'sts_unavailable'])
      })
      it('coordinator: requests work and commit, their events wait without losing attempts', async () => {
        const session = await world.startSession()
        expect(session.status).toBe(201)
        const sql = postgres(world.deployment.database())
        try {
          await eventually(async () => {
            const [row] = await sql`
            select count(*)::int as waiting, max(attempts)::int as attempts
            from caracal_outbox where status = 'pending'`
            return row?.waiting > 0 && row?.attempts === 0
          })
        } finally {
          await sql.end()
        }
      })
      it('control: reads and changes work, a wrong password is still refused', async () => {
        expect((await adminZones()).status).toBe(200)
        expect((await createZone()).status).toBe(201)
        expect([401, 429]).toContain((await world.ask('control', '/v1/zones', 'cat_wrong')).status)
      })
      it('all of it is back by itself, and what was spilled arrives', async () => {
        await world.store('redis').start()
        await world.recovered(30_000)
        await eventually(() => journalFiles() === 0, { timeoutMs: 40_000, intervalMs: 200 })
      })
      it('a mandate from before the loss is refused, never spent twice', async () => {
        const answer = await world.call(mandate())
        expect([answer.status, codeOf(answer.body)]).toEqual([401, 'invalid_token'])
      })
    })

    describe('STS down', () => {
      beforeAll(async () => {
        mandates = await world.mandates(6)
        // The loss of Redis made it forget the keys; now it knows them again.
        expect((await world.startSession()).status).toBe(201)
        await world.process('sts').end('SIGKILL')
      })

      it('the gateway says so, the others do without', () =>
        expectReadiness([
          ['control', 200, null],
          ['coordinator', 200, null],
          ['gateway', 503, /^sts_un(?:reachable|available)$/],
          ['audit', 200, null],
        ]))
      it('check 26: gateway requests are 502–504 sts_unavailable, the fourth at once', async () => {
        for (let failure = 0; failure < 3; failure += 1) {
          const answer = await world.call(mandate())
          expect([502, 503, 504]).toContain(answer.status)
          expect(codeOf(answer.body)).toBe('sts_unavailable')
        }
        const began = performance.now()
        const answer = await world.call(mandate())
        expect([answer.status, codeOf(answer.body)]).toEqual([503, 'sts_unavailable'])
        expect(performance.now() - began).toBeLessThan(3000)
        const metrics = await world.ask('gateway', '/metrics', metricsBearer)
        expect(metrics.body).toMatch(/^caracal_gateway_sts_circuit_open(?:\{[^}]*\})? 1$/m)
      })
      it('coordinator: keys it knows keep verifying', async () => {
        expect((await world.startSession()).status).toBe(201)
      })
      it('control: everything else works', async () => {
        expect((await adminZones()).status).toBe(200)
        expect((await createZone()).status).toBe(201)
      })
      it('the circuit closes by itself after the STS is back', async () => {
        world.process('sts').start()
        await untilReady(world.process('sts'))
        await world.recovered(60_000)
      })
    })

    describe('disk of the journal full', () => {
      // Permissions mean nothing to root: without a file system of its own nothing can be made full.
      const cannotFill = () =>
        world.deployment.journals.some(({ how }) => how === 'read-only') && process.getuid?.() === 0

      it('sts and gateway say that they could not keep evidence, and go on while the bus takes it', async (context) => {
        if (cannotFill()) context.skip('root may not mount here, and no permission stops root')
        for (const journal of world.deployment.journals) journal.fill()
        await expectReadiness([
          ['control', 200, null],
          ['coordinator', 200, null],
          ['sts', 503, /^audit_replay_unavailable$/],
          ['gateway', 503, /^audit_replay_unavailable$/],
          ['audit', 200, null],
        ])
        const minted = await world.mint()
        expect(minted.status).toBe(200)
        expect((await world.call(minted.member('access_token'))).status).toBe(200)
        for (const journal of world.deployment.journals) journal.free()
        await world.recovered(30_000)
      })

      it('evidence that neither bus nor disk took latches, until the process is replaced', async (context) => {
        if (cannotFill()) context.skip('root may not mount here, and no permission stops root')
        const [bearer = ''] = await world.mandates(1)
        const stream = await openStream(bearer)
        for (const journal of world.deployment.journals) journal.fill()
        const dropped = (role: RoleName, timeoutMs: number) =>
          eventually(
            async () => {
              const { body } = await world.ask(role, '/metrics', metricsBearer)
              return new RegExp(`^caracal_${role}_audit_dropped_total(?:\\{[^}]*\\})? [1-9]`, 'm').test(body)
            },
            { timeoutMs },
          )
        await whileExchanging(async () => {
          // On a busy machine no exchange may be between its admission and its evidence when Redis ends.
          for (let left = 5; ; left -= 1) {
            await world.store('redis').stop?.()
            if (left === 1) return await dropped('sts', 10_000)
            if (await dropped('sts', 3000).catch(() => false)) return true
            await world.store('redis').start()
            await eventually(async () => (await world.mint()).status === 200)
          }
        })
        expect((await world.mint()).status).toBe(503)
        // The gateway owes evidence of how a call that was allowed has ended.
        await stream.body?.cancel()
        await dropped('gateway', 10_000)
        await world.store('redis').start()
        for (const journal of world.deployment.journals) journal.free()
        await expectReadiness([
          ['sts', 503, /^audit_evidence_lost$/],
          ['gateway', 503, /^audit_evidence_lost$/],
          ['control', 200, null],
          ['coordinator', 200, null],
          ['audit', 200, null],
        ])
        for (const role of ['sts', 'gateway'] as const) {
          expect(await world.process(role).end('SIGTERM')).toBe('0')
          world.process(role).start()
        }
        await world.recovered(60_000)
        expect(readdirSync(join(world.deployment.directory, 'journal-sts-1'))).toEqual([])
      })
    })
  },
)
