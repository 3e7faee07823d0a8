/** What the workers do. Each answers null when the outcome was the expected one. */
import { randomUUID } from 'node:crypto'
import type { Pool } from 'undici'
import { resource } from '../../src/cli/demo/operator.ts'
import type { Operation } from './closed-loop.ts'
import type { Actor, Scene } from './scene.ts'

const actorOf = (scene: Scene, worker: number): Actor => {
  const actor = scene.actors[worker % scene.actors.length]
  if (actor === undefined) throw new Error('the scene has no actors')
  return actor
}

/** One mandate for the gateway; throws when there is none. */
export async function mintOnce({ wires: { sts } }: Scene, { mintBody }: Actor): Promise<string> {
  const { status, body } = await sts.send(
    `POST /oauth/2/token HTTP/1.1\r\nhost: ${sts.host}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${mintBody.length}\r\n\r\n${mintBody}`,
  )
  const answer = JSON.parse(body) as { access_token?: string; error?: string }
  if (status !== 200 || answer.access_token === undefined) throw new Error(`mint ${status} ${answer.error}`)
  return answer.access_token
}

async function callOnce({ wires: { gateway } }: Scene, mandate: string): Promise<string | null> {
  const { status, body } = await gateway.send(
    `GET /items HTTP/1.1\r\nhost: ${gateway.host}\r\nauthorization: Bearer ${mandate}\r\nx-caracal-resource: ${resource}\r\n\r\n`,
  )
  return status === 200 ? null : `gateway ${status} ${body.slice(0, 120)}`
}

export const mint =
  (scene: Scene): Operation =>
  async (worker) => {
    await mintOnce(scene, actorOf(scene, worker))
    return null
  }

/** Spends mandates minted beforehand; runs dry with a clear word. */
export const spend =
  (scene: Scene, mandates: string[]): Operation =>
  async () => {
    const mandate = mandates.pop()
    return mandate === undefined ? 'no mandate left' : callOnce(scene, mandate)
  }

export const governed =
  (scene: Scene): Operation =>
  async (worker) =>
    callOnce(scene, await mintOnce(scene, actorOf(scene, worker)))

async function post(
  pool: Pool,
  path: string,
  bearer: string,
  json: unknown,
): Promise<Record<string, unknown>> {
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path,
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${bearer}`,
      'idempotency-key': randomUUID(),
    },
    body: JSON.stringify(json),
  })
  const answer = (await body.json()) as Record<string, unknown>
  if (statusCode !== 201) throw new Error(`${statusCode} ${String(answer.error)}`)
  return answer
}

const startSession = async (scene: Scene, { identity, lifecycle }: Actor): Promise<string> => {
  const answer = await post(scene.coordinator, `/zones/${identity.zoneId}/agents`, lifecycle, {
    application_id: identity.applicationId,
    ttl_seconds: 600,
    labels: [identity.applicationId],
  })
  return String(answer.agent_session_id)
}

export const startAndTerminate =
  (scene: Scene): Operation =>
  async (worker) => {
    const actor = actorOf(scene, worker)
    const session = await startSession(scene, actor)
    const { statusCode, body } = await scene.coordinator.request({
      method: 'DELETE',
      path: `/zones/${actor.identity.zoneId}/agents/${session}`,
      headers: { authorization: `Bearer ${actor.lifecycle}` },
    })
    await body.dump()
    return statusCode === 204 ? null : `terminate ${statusCode}`
  }

/** Delegates from one fixed session to another; every edge is a root edge of its own. */
export const delegate =
  (scene: Scene, pairs: readonly { source: string; target: string }[]): Operation =>
  async (worker) => {
    const { identity, lifecycle } = actorOf(scene, worker)
    const pair = pairs[worker % scene.actors.length]
    if (pair === undefined) return 'no sessions'
    await post(scene.coordinator, `/zones/${identity.zoneId}/delegations`, lifecycle, {
      issuer_application_id: identity.applicationId,
      receiver_application_id: identity.applicationId,
      source_session_id: pair.source,
      target_session_id: pair.target,
      scopes: ['inventory:read'],
      constraints: { resources: [resource] },
      ttl_seconds: 600,
    })
    return null
  }

export const sessionPairs = (scene: Scene): Promise<{ source: string; target: string }[]> =>
  Promise.all(
    scene.actors.map(async (actor) => ({
      source: await startSession(scene, actor),
      target: await startSession(scene, actor),
    })),
  )

/** One service for each actor; what is invoked there is between the worker and its application. */
export const services = (scene: Scene): Promise<string[]> =>
  Promise.all(
    scene.actors.map(async ({ identity, lifecycle }) => {
      const answer = await post(scene.coordinator, `/zones/${identity.zoneId}/agent-services`, lifecycle, {
        application_id: identity.applicationId,
        endpoint_url: 'https://worker.example',
      })
      return String(answer.id)
    }),
  )

/** The life of one invocation as a worker sees it: enqueued, started, completed. */
export const enqueueAndComplete =
  (scene: Scene, serviceIds: readonly string[]): Operation =>
  async (worker) => {
    const { identity, lifecycle } = actorOf(scene, worker)
    const path = `/zones/${identity.zoneId}/invocations`
    const { id } = await post(scene.coordinator, path, lifecycle, {
      service_id: serviceIds[worker % scene.actors.length],
      method: 'restock',
      params: { sku: 'lynx-1' },
    })
    for (const [step, json] of [
      ['start', undefined],
      ['complete', { status: 'succeeded' }],
    ] as const) {
      const { statusCode, body } = await scene.coordinator.request({
        method: 'PATCH',
        path: `${path}/${String(id)}/${step}`,
        headers: {
          authorization: `Bearer ${lifecycle}`,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: json === undefined ? null : JSON.stringify(json),
      })
      await body.dump()
      if (statusCode !== 200) return `${step} ${statusCode}`
    }
    return null
  }

/** An operator's page of applications, then of resources. */
export const listPages =
  (scene: Scene, adminToken: string): Operation =>
  async (worker, round) => {
    const { identity } = actorOf(scene, worker)
    const { statusCode, body } = await scene.control.request({
      method: 'GET',
      path: `/v1/zones/${identity.zoneId}/${round % 2 ? 'applications' : 'resources'}?limit=50`,
      headers: { authorization: `Bearer ${adminToken}` },
    })
    await body.dump()
    return statusCode === 200 ? null : `list ${statusCode}`
  }
