/** One process of each role on a Postgres and a Redis of its own, with governed authority ready to use. */
import { setTimeout as sleep } from 'node:timers/promises'
import { resource } from '../../src/cli/demo/operator.ts'
import { redisServerBinary } from '../load/own-redis.ts'
import { type Actor, type Scene, setScene } from '../load/scene.ts'
import { type Outgoing, send, type Told } from '../load/send.ts'
import type { ServerProcess } from '../load/server-process.ts'
import type { StoreInHand } from '../load/stores-in-hand.ts'
import { type Deployment, deploy } from '../load/topology.ts'

export type RoleName = 'control' | 'coordinator' | 'sts' | 'gateway' | 'audit'
export const roleNames: readonly RoleName[] = ['control', 'coordinator', 'sts', 'gateway', 'audit']

/** Why these tests cannot run here, else `null`. */
export const withoutRedis = redisServerBinary() === null ? 'skipped: no redis-server on the path' : null

export const metricsBearer = 'metrics-of-the-fault-tests'

export interface Governed extends AsyncDisposable {
  readonly deployment: Deployment
  readonly scene: Scene
  readonly actor: Actor
  process(role: RoleName): ServerProcess
  store(name: 'postgres' | 'redis'): StoreInHand
  mint(): Promise<Told>
  /** A mint for a resource that is not there: denied with evidence, whatever the counters say. */
  mintForNothing(): Promise<Told>
  /** Mandates for later, minted while all is well. */
  mandates(count: number): Promise<string[]>
  call(mandate: string, path?: string): Promise<Told>
  startSession(): Promise<Told>
  ask(role: RoleName, path: string, bearer?: string): Promise<{ status: number; body: string }>
  /** Everything is ready and a governed call goes through; answers after how many milliseconds. */
  recovered(limitMs: number): Promise<number>
}

export async function deployGoverned(options: { readonly redis?: boolean } = {}): Promise<Governed> {
  const deployment = await deploy.split({
    ...options,
    replicas: 1,
    env: { METRICS_BEARER: metricsBearer, OUTBOX_LOCK_SEC: '5', OUTBOX_MAX_ATTEMPTS: '2' },
  })
  const scene = await setScene(deployment, 1).catch(async (error: unknown) => {
    await deployment[Symbol.asyncDispose]()
    throw error
  })
  const [actor] = scene.actors
  if (actor === undefined) throw new Error('the scene has no actors')
  const found = <T>(thing: T | undefined, name: string): T => {
    if (thing === undefined) throw new Error(`there is no ${name}`)
    return thing
  }
  const process = (role: RoleName) =>
    found(
      deployment.processes.find(({ name }) => name === `${role}-1`),
      role,
    )
  const governed: Governed = {
    deployment,
    scene,
    actor,
    process,
    store: (name) =>
      found(
        deployment.stores.find((store) => store.name === name),
        name,
      ),
    mint: () => send(scene.sts, { method: 'POST', path: '/oauth/2/token', form: actor.mintBody }),
    mintForNothing() {
      const form = new URLSearchParams(actor.mintBody)
      form.set('resource', 'resource://nowhere')
      return send(scene.sts, { method: 'POST', path: '/oauth/2/token', form: form.toString() })
    },
    async mandates(count) {
      const minted: string[] = []
      while (minted.length < count) minted.push((await governed.mint()).member('access_token'))
      return minted
    },
    call: (mandate, path = '/items') => send(scene.gateway, itemsWith(mandate, path)),
    startSession: () =>
      send(scene.coordinator, {
        method: 'POST',
        path: `/zones/${actor.identity.zoneId}/agents`,
        bearer: actor.lifecycle,
        json: {
          application_id: actor.identity.applicationId,
          ttl_seconds: 600,
          labels: [actor.identity.applicationId],
        },
      }),
    async ask(role, path, bearer) {
      const url = `${process(role).urls[0]}${path}`
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(12_000) })
      return { status: answer.status, body: await answer.text() }
    },
    async recovered(limitMs) {
      const began = performance.now()
      for (;;) {
        const said = await Promise.all(deployment.processes.map((one) => one.ready()))
        let problem = said.find((one) => one !== 'ready') ?? null
        if (problem === null) {
          const minted = await governed.mint()
          const answer = minted.ok ? await governed.call(minted.member('access_token')) : minted
          problem = answer.ok ? null : `${answer.status} ${answer.body}`
        }
        if (problem === null) return performance.now() - began
        if (performance.now() - began > limitMs) throw new Error(`after ${limitMs} ms: ${problem}`)
        await sleep(100)
      }
    },
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]()
      await deployment[Symbol.asyncDispose]()
    },
  }
  return governed
}

function itemsWith(mandate: string, path: string): Outgoing {
  return { method: 'GET', path, bearer: mandate, headers: { 'x-caracal-resource': resource } }
}
