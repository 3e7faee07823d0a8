/** The setup of coordinator §18: zone Z, applications A and B with mandates, resource R, operator token OP. */
import { expect } from 'vitest'
import type { Settings } from '../../../src/config/env.ts'
import { seedAuthorityRecord, seedResource } from '../../fixtures/zone.ts'
import {
  type CallOptions,
  createStage,
  operatorBearer,
  type Reply,
  type Stage,
  type StageOptions,
} from '../../roles/coordinator/stage.ts'

export interface Scene extends AsyncDisposable {
  readonly stage: Stage
  /** Application ids. */
  readonly a: string
  readonly b: string
  readonly ta: string
  readonly tb: string
  readonly op: string
  readonly resourceId: string
  /** Under `/zones/Z`, as A unless told otherwise. */
  call(method: string, rest: string, options?: CallOptions): Promise<Reply>
  /** A session of A; answers its id. */
  start(body?: Record<string, unknown>, options?: CallOptions): Promise<string>
  /** s1 → s2 over R with scope read; answers the 201 body. */
  delegate(source: string, target: string, body?: Record<string, unknown>): Promise<Reply['body']>
  tryDelegate(
    source: string,
    target: string,
    body?: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<Reply>
  service(body?: Record<string, unknown>): Promise<string>
  enqueue(serviceId: string, body?: Record<string, unknown>, options?: CallOptions): Promise<Reply>
  /** A federated user's authority record. */
  userRecord(): Promise<string>
  session(id: string): Promise<Record<string, unknown>>
  edge(id: string): Promise<Record<string, unknown>>
  epoch(): Promise<number | null>
  /** Payloads of the outbox rows of a stream whose dedupe key begins so. */
  events(topic: string, dedupe?: string): Promise<Record<string, unknown>[]>
}

export const revocations = 'caracal.sessions.revoke'
export const lifecycle = 'caracal.agents.lifecycle'
export const delegations = 'caracal.delegations.invalidate'
export const policy = 'caracal.policy.invalidate'
export const invocations = 'caracal.invocations.lifecycle'

export async function openScene(
  overrides: Partial<Settings> = {},
  options: StageOptions = {},
): Promise<Scene> {
  const stage = await createStage(overrides, options)
  const { zone, store } = stage
  const { zoneId } = zone
  const a = zone.application.id
  const b = (await stage.application()).id
  const [ta, tb] = await Promise.all([stage.mandate(), stage.mandateOf(b)])
  const resource = await seedResource(store.db, zoneId, {
    providerId: zone.providerId,
    identifier: 'resource://r',
    scopes: ['read', 'write'],
  })

  const call = (method: string, rest: string, options: CallOptions = {}): Promise<Reply> =>
    stage.call(method, stage.at(rest), { bearer: ta, ...options })
  const made = (reply: Reply): Reply['body'] => {
    expect(reply.status, JSON.stringify(reply.body)).toBe(201)
    return reply.body
  }
  const tryDelegate: Scene['tryDelegate'] = (source, target, body = {}, options = {}) =>
    call('POST', '/delegations', {
      ...options,
      json: {
        issuer_application_id: a,
        receiver_application_id: a,
        source_session_id: source,
        target_session_id: target,
        resource_id: 'resource://r',
        scopes: ['read'],
        ttl_seconds: 600,
        ...body,
      },
    })
  let keys = 0

  return {
    stage,
    a,
    b,
    ta,
    tb,
    op: operatorBearer,
    resourceId: resource.id,
    call,
    async start(body = {}, options = {}) {
      const reply = await call('POST', '/agents', { ...options, json: { application_id: a, ...body } })
      return String(made(reply).agent_session_id)
    },
    tryDelegate,
    delegate: async (source, target, body) => made(await tryDelegate(source, target, body)),
    async service(body = {}) {
      const json = { application_id: a, endpoint_url: `https://a.example/${keys++}`, ...body }
      return String(made(await call('POST', '/agent-services', { json })).id)
    },
    enqueue: (serviceId, body = {}, options = {}) =>
      call('POST', '/invocations', {
        ...options,
        json: { service_id: serviceId, idempotency_key: `key-${keys++}`, method: 'run', ...body },
      }),
    userRecord: () => seedAuthorityRecord(store.db, zoneId, { type: 'user', subjectId: 'user-1' }),
    session: (id) => row(store.db.sql`select * from agent_sessions where id = ${id}`),
    edge: (id) => row(store.db.sql`select * from delegation_edges where id = ${id}`),
    async epoch() {
      const [found] = await store.db.sql<{ epoch: string }[]>`
        select epoch from delegation_graph_epochs where zone_id = ${zoneId}`
      return found === undefined ? null : Number(found.epoch)
    },
    async events(topic, dedupe = '') {
      const rows = await store.db.sql<{ payload_json: Record<string, unknown> }[]>`
        select payload_json from caracal_outbox
        where topic = ${topic} and starts_with(dedupe_key, ${dedupe})
          and coalesce(payload_json->>'zone_id', ${zoneId}) = ${zoneId}
        order by created_at, id`
      return rows.map((each) => each.payload_json)
    },
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  }
}

async function row(query: PromiseLike<readonly Record<string, unknown>[]>): Promise<Record<string, unknown>> {
  const [found] = await query
  if (found === undefined) throw new Error('no such row')
  return found
}

export const refusal = (status: number, error: string) => ({ status, body: { error } })
