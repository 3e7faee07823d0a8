import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Reply } from '../../roles/coordinator/stage.ts'
import { openScene, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene()
})
afterAll(() => z[Symbol.asyncDispose]())

describe('limits and keys hold over processes', () => {
  it('two hundred starts over two processes against a limit of fifty: fifty', async () => {
    await using scene = await openScene({ MAX_AGENTS_PER_ZONE: 50 })
    const peer = await scene.stage.peer()
    const path = scene.stage.at('/agents')
    const json = { application_id: scene.a }
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        (at % 2 === 0 ? scene.stage : peer).call('POST', path, { bearer: scene.ta, json }),
      ),
    )
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(50)
    expect(replies.filter((reply) => reply.body.error === 'session_zone_limit_exceeded')).toHaveLength(150)
    const [row] = await scene.stage.store.db.sql<{ n: number }[]>`
      select count(*)::int as n from agent_sessions where status = 'active' and zone_id = ${scene.stage.zone.zoneId}`
    expect(row?.n).toBe(50)
  })

  it('a hundred enqueues under one key over two processes: one invocation', async () => {
    const service = await z.service()
    const peer = await z.stage.peer()
    const json = { service_id: service, idempotency_key: 'hundred', method: 'run', params: { n: 1 } }
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        (at % 2 === 0 ? z.stage : peer).call('POST', z.stage.at('/invocations'), { bearer: z.ta, json }),
      ),
    )
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([201]))
    expect(new Set(replies.map((reply) => reply.body.id)).size).toBe(1)
    const fresh = replies.filter((reply) => reply.headers.get('idempotency-replayed') === null)
    expect(fresh).toHaveLength(1)
  })
})

type Step =
  | { readonly do: 'root' }
  | { readonly do: 'child' | 'end' | 'suspend' | 'resume' | 'revoke'; readonly at: number }
  | { readonly do: 'delegate'; readonly from: number; readonly to: number; readonly hops: number }

const at = fc.nat({ max: 9 })
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ do: 'root' as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('child' as const), at }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('delegate' as const),
      from: at,
      to: at,
      hops: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('end', 'suspend', 'resume', 'revoke'), at }),
  },
)

/** What must hold at every moment, asked of the rows. Each answers the offenders. */
const invariants = {
  'a live child under an ended parent': (scene: Scene) => scene.stage.store.db.sql`
    select child.id from agent_sessions as child
    join agent_sessions as parent on parent.id = child.parent_id
    where child.status in ('active', 'suspended') and parent.status = 'terminated'`,
  'an active edge at an ended session': (scene: Scene) => scene.stage.store.db.sql`
    select edge.id from delegation_edges as edge
    join agent_sessions as session on session.id in (edge.source_agent_id, edge.target_agent_id)
    where edge.status = 'active' and session.status = 'terminated'`,
  'an active child under a suspended parent that nobody resumed': (scene: Scene) => scene.stage.store.db.sql`
    select child.id from agent_sessions as child
    join agent_sessions as parent on parent.id = child.parent_id
    where child.status = 'active' and parent.status = 'suspended'
      and not exists (
        select 1 from caracal_outbox
        where topic = 'caracal.agents.lifecycle' and starts_with(dedupe_key, 'resume:' || child.id || ':'))`,
  'a count of children that is not theirs': (scene: Scene) => scene.stage.store.db.sql`
    select parent.id from agent_sessions as parent
    where parent.status <> 'terminated' and parent.child_count <> (
      select count(*) from agent_sessions as child
      where child.parent_id = parent.id and child.status in ('active', 'suspended'))`,
  'an ended session without its events': (scene: Scene) => scene.stage.store.db.sql`
    select id from agent_sessions as session
    where status = 'terminated' and 2 <> (
      select count(*) from caracal_outbox
      where dedupe_key in ('terminate:' || session.id, 'agent_terminate:' || session.id))`,
  'a revoked edge without its events': (scene: Scene) => scene.stage.store.db.sql`
    select id from delegation_edges as edge
    where status = 'revoked' and 2 <> (
      select count(*) from caracal_outbox
      where dedupe_key in ('edge_revoke:' || edge.id, 'delegation:' || edge.id || ':session:' || target_agent_id))`,
  'an edge that holds more than its parent': (scene: Scene) => scene.stage.store.db.sql`
    select child.id from delegation_edges as child
    join delegation_edges as parent on parent.id = child.parent_edge_id
    where not child.scopes <@ parent.scopes or child.expires_at > parent.expires_at`,
} as const

describe('no order of events breaks the graph', () => {
  it('random starts, endings, delegations and revocations, four at a time over two processes', async () => {
    await using scene = await openScene({ MAX_AGENTS_PER_ZONE: 100_000, MAX_AGENTS_PER_APP: 100_000 })
    const peer = await scene.stage.peer()
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 40 }), async (script) => {
        const sessions: string[] = [await scene.start(), await scene.start()]
        const edges: string[] = []
        const ask = (turn: number, method: string, rest: string, json?: unknown): Promise<Reply> =>
          (turn % 2 === 0 ? scene.stage : peer).call(method, scene.stage.at(rest), {
            bearer: scene.ta,
            ...(json === undefined ? {} : { json }),
          })
        const take = async (step: Step, turn: number): Promise<void> => {
          const reply = await perform(step, turn)
          expect(reply.status, `${JSON.stringify(step)} ${JSON.stringify(reply.body)}`).toBeLessThan(500)
          if (reply.status !== 201) return
          if (step.do === 'delegate') edges.push(reply.body.id)
          else sessions.push(reply.body.id)
        }
        const perform = (step: Step, turn: number): Promise<Reply> => {
          if (step.do === 'root') return ask(turn, 'POST', '/agents', { application_id: scene.a })
          if (step.do === 'delegate') {
            return ask(turn, 'POST', '/delegations', {
              issuer_application_id: scene.a,
              receiver_application_id: scene.a,
              source_session_id: pick(sessions, step.from),
              target_session_id: pick(sessions, step.to),
              resource_id: 'resource://r',
              scopes: step.hops > 1 ? ['read', 'write'] : ['read'],
              constraints: { max_hops: step.hops, ttl_seconds: 60 * step.hops },
              ttl_seconds: 60 * step.hops,
            })
          }
          if (step.do === 'revoke') return ask(turn, 'DELETE', `/delegations/${pick(edges, step.at)}`)
          const id = pick(sessions, step.at)
          if (step.do === 'child')
            return ask(turn, 'POST', '/agents', { application_id: scene.a, parent_id: id })
          if (step.do === 'end') return ask(turn, 'DELETE', `/agents/${id}`)
          return ask(turn, 'POST', `/agents/${id}/${step.do}`)
        }
        for (let next = 0; next < script.length; next += 4) {
          await Promise.all(script.slice(next, next + 4).map((step, turn) => take(step, turn)))
        }
        for (const [what, find] of Object.entries(invariants)) {
          expect(await find(scene), what).toHaveLength(0)
        }
      }),
      { numRuns: 12, endOnFailure: true },
    )
  }, 120_000)
})

const pick = (from: readonly string[], index: number): string =>
  from.at(-1 - (index % Math.max(1, from.length))) ?? 'none'
