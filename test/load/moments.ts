/** Moments rather than rates: a first call of a new application, and from a revocation to its effect. */
import { createAgent } from '../../src/cli/demo/agent.ts'
import { readScope, setUp } from '../../src/cli/demo/operator.ts'
import { type Measured, summarize } from './closed-loop.ts'
import { mintOnce } from './operations.ts'
import type { Scene } from './scene.ts'
import type { ServerUnderLoad } from './server.ts'

/** Milliseconds of each round, one after the other; `round` answers null for a round that does not count. */
async function timed(
  rounds: number,
  cpuSeconds: () => number,
  round: (n: number) => Promise<{ readonly ms: number } | string>,
): Promise<Measured> {
  const times: number[] = []
  const errors: Record<string, number> = {}
  const cpuBefore = cpuSeconds()
  const started = performance.now()
  for (let n = 0; n < rounds; n += 1) {
    const outcome = await round(n).catch((error: unknown) => String(error))
    if (typeof outcome === 'string') errors[outcome] = (errors[outcome] ?? 0) + 1
    else times.push(outcome.ms)
  }
  const elapsed = (performance.now() - started) / 1000
  return summarize({ workers: 1, times, errors, elapsed, cpu: cpuSeconds() - cpuBefore })
}

/**
 * The first governed call of an application nobody has heard of yet, with what it takes once:
 * bootstrap mandate, two sessions, a delegation, a gateway mandate, the call.
 */
export async function coldCalls(server: ServerUnderLoad, scene: Scene, rounds: number): Promise<Measured> {
  const operator = { controlUrl: server.urls.control, adminToken: server.adminToken }
  const upstream = { url: scene.upstreamUrl, apiKey: 'load-key' }
  return await timed(rounds, server.cpuSeconds, async (n) => {
    const agent = createAgent(server.urls, await setUp(operator, upstream, `Cold ${n} ${Date.now()}`))
    const began = performance.now()
    const lifecycle = await agent.bootstrap()
    const source = await agent.startSession(lifecycle)
    const target = await agent.startSession(lifecycle)
    const delegation = await agent.delegate(lifecycle, source, target, [readScope])
    const minted = await agent.mint(target, delegation, readScope)
    const answer = await agent.fetch(String(minted.body.access_token), 'GET', '/items')
    return answer.status === 200 ? { ms: performance.now() - began } : `call ${answer.status}`
  })
}

/**
 * From sending the end of a session to the first refused call under it. Mandates are minted beforehand,
 * so nothing but the revocation can refuse them; one that still passes is followed by the next.
 */
export async function revocations(server: ServerUnderLoad, scene: Scene, rounds: number): Promise<Measured> {
  return await timed(rounds, server.cpuSeconds, async (n) => {
    const actor = scene.actors[n % scene.actors.length]
    if (actor === undefined) return 'the scene has no actors'
    const { agent, lifecycle } = actor
    const source = await agent.startSession(lifecycle)
    const target = await agent.startSession(lifecycle)
    const delegation = await agent.delegate(lifecycle, source, target, [readScope])
    const body = new URLSearchParams(actor.mintBody)
    body.set('agent_session_id', target)
    body.set('delegation_edge_id', delegation)
    const mandates = await Promise.all(
      Array.from({ length: 8 }, () => mintOnce(scene, { ...actor, mintBody: body.toString() })),
    )
    const began = performance.now()
    const ended = await agent.endSession(lifecycle, target)
    if (ended.status !== 204) return `end ${ended.status}`
    for (const mandate of mandates) {
      const { status } = await agent.fetch(mandate, 'GET', '/items')
      if (status !== 200) return { ms: performance.now() - began }
    }
    return 'still allowed after eight calls'
  })
}
