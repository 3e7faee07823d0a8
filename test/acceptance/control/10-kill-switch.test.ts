/**
 * The kill switch over a whole server: whatever an application's sessions could do a moment ago, at every
 * role and for each session below it, is refused afterwards (control-api §7.15, check 38).
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Agent, createAgent, type Identity } from '../../../src/cli/demo/agent.ts'
import { type Answer, call } from '../../../src/cli/demo/http.ts'
import { readScope, resource, setUp } from '../../../src/cli/demo/operator.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { openStage, type Stage } from '../clients/stage.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

interface Tree {
  readonly identity: Identity
  readonly agent: Agent
  readonly lifecycle: string
  /** root → middle → leaf; each edge delegates from one to the next. */
  readonly sessions: readonly [string, string, string]
  readonly edges: readonly [string, string]
  /** Unspent gateway mandates of the middle and the leaf session. */
  readonly mandates: { readonly middle: string[]; readonly leaf: string[] }
}

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ CARACAL_PRIVATE_EGRESS_HOSTS: 'localhost,127.0.0.1' })
})
afterAll(() => stage[Symbol.asyncDispose]())

async function grow(name: string): Promise<Tree> {
  const operator = { controlUrl: stage.urls.control, adminToken: stage.adminToken }
  const identity = await setUp(operator, { url: stage.upstream.url, apiKey: 'k' }, name)
  const agent = createAgent(stage.urls, identity)
  const lifecycle = await agent.bootstrap()
  const root = await agent.startSession(lifecycle)
  const started = async (parent: string) => {
    const answer = await sessionUnder({ identity, lifecycle }, parent)
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
    return String(answer.body.agent_session_id)
  }
  const middle = await started(root)
  const leaf = await started(middle)
  const first = await agent.delegate(lifecycle, root, middle, [readScope])
  const second = await agent.delegate(lifecycle, root, leaf, [readScope])
  const stock = (session: string, edge: string) =>
    Promise.all(Array.from({ length: 8 }, async () => mandateOf(await agent.mint(session, edge, readScope))))
  const mandates = { middle: await stock(middle, first), leaf: await stock(leaf, second) }
  return { identity, agent, lifecycle, sessions: [root, middle, leaf], edges: [first, second], mandates }
}

function mandateOf(answer: Answer): string {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return String(answer.body.access_token)
}

const zoneUrl = (tree: Pick<Tree, 'identity'>) => `${stage.urls.coordinator}/zones/${tree.identity.zoneId}`

const sessionUnder = (tree: Pick<Tree, 'identity' | 'lifecycle'>, parent?: string) =>
  call(`${zoneUrl(tree)}/agents`, {
    method: 'POST',
    bearer: tree.lifecycle,
    headers: { 'idempotency-key': crypto.randomUUID() },
    json: {
      application_id: tree.identity.applicationId,
      ttl_seconds: 600,
      // The policy of the scene grants by label.
      labels: [tree.identity.applicationId],
      parent_id: parent,
    },
  })

const delegation = (tree: Tree, from: string, to: string) =>
  call(`${zoneUrl(tree)}/delegations`, {
    method: 'POST',
    bearer: tree.lifecycle,
    json: {
      issuer_application_id: tree.identity.applicationId,
      receiver_application_id: tree.identity.applicationId,
      source_session_id: from,
      target_session_id: to,
      scopes: [readScope],
      constraints: { resources: [resource] },
      ttl_seconds: 300,
    },
  })

function spend(tree: Tree, stock: string[]): Promise<Answer> {
  const mandate = stock.pop()
  if (mandate === undefined) throw new Error('the stock of mandates is spent')
  return tree.agent.fetch(mandate, 'GET', '/items')
}

/** Issuance and enforcement, each for a session of its own depth in the tree. */
const attempts: Readonly<Record<string, (tree: Tree) => Promise<Answer>>> = {
  'STS: a mint for the middle session': (t) => t.agent.mint(t.sessions[1], t.edges[0], readScope),
  'STS: a mint for the leaf session': (t) => t.agent.mint(t.sessions[2], t.edges[1], readScope),
  'gateway: a mandate of the middle session': (t) => spend(t, t.mandates.middle),
  'gateway: a mandate of the leaf session': (t) => spend(t, t.mandates.leaf),
  'coordinator: a session under the root': (t) => sessionUnder(t, t.sessions[0]),
  'coordinator: a session under the leaf': (t) => sessionUnder(t, t.sessions[2]),
  'coordinator: a session of its own': (t) => sessionUnder(t),
  'coordinator: a delegation from the root': (t) => delegation(t, t.sessions[0], t.sessions[1]),
  'coordinator: reading the session tree': (t) =>
    call(`${zoneUrl(t)}/agents/${t.sessions[0]}`, { method: 'GET', bearer: t.lifecycle }),
}

const revoke = (tree: Tree, body: object = {}) =>
  stage.admin('POST', `/zones/${tree.identity.zoneId}/subjects/revoke`, {
    subject_id: tree.identity.applicationId,
    ...body,
  })

describe('the kill switch (control-api §16)', () => {
  let tree: Tree
  let bystander: Tree
  let rehearsed: Record<string, unknown>
  beforeAll(async () => {
    tree = await grow('Killed')
    bystander = await grow('Bystander')
  })

  test('38: everything passes before it, and after a dry run', async () => {
    for (const [name, attempt] of Object.entries(attempts)) {
      expect([name, (await attempt(tree)).status < 300]).toEqual([name, true])
    }
    rehearsed = await revoke(tree, { dry_run: true })
    expect(await revoke(tree, { dry_run: true })).toEqual(rehearsed)
    for (const count of ['authority_records', 'sessions', 'delegations']) {
      expect([count, Number(rehearsed[count])]).toEqual([count, expect.any(Number)])
      expect(Number(rehearsed[count])).toBeGreaterThanOrEqual(2)
    }
    for (const name of ['gateway: a mandate of the leaf session', 'STS: a mint for the leaf session']) {
      expect([name, (await attempts[name]?.(tree))?.status]).toEqual([name, 200])
    }
  })

  test('38: a running stream ends, and the counts are those of the dry run', async () => {
    rehearsed = await revoke(tree, { dry_run: true })
    stage.upstream.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
    }
    try {
      const streaming = await fetch(`${stage.urls.gateway}/items`, {
        headers: {
          authorization: `Bearer ${tree.mandates.leaf.pop()}`,
          'x-caracal-resource': resource,
        },
      })
      expect(streaming.status).toBe(200)
      const reader = streaming.body?.getReader()
      expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('data: 1\n\n')
      const counts = await revoke(tree)
      // The call that streams was traded for one more record after the rehearsal at the most.
      expect({ ...counts, authority_records: 0 }).toEqual({ ...rehearsed, authority_records: 0 })
      expect(Number(counts.authority_records) - Number(rehearsed.authority_records)).toBeLessThanOrEqual(1)
      const ended = reader?.read().then(
        ({ done }) => done,
        () => true,
      )
      expect(await ended).toBe(true)
    } finally {
      stage.upstream.answer = null
    }
  })

  test.each(Object.keys(attempts))('38: refused afterwards: %s', async (name) => {
    const attempt = attempts[name]
    let status = 0
    await eventually(async () => {
      status = (await attempt?.(tree))?.status ?? 0
      return status >= 400
    })
    expect(status).toBeLessThan(500)
  })

  test('38: again it finds nothing, and nobody else lost anything', async () => {
    expect(await revoke(tree)).toEqual({
      subject_id: tree.identity.applicationId,
      authority_records: 0,
      sessions: 0,
      delegations: 0,
      connections: 0,
    })
    for (const [name, attempt] of Object.entries(attempts)) {
      expect([name, (await attempt(bystander)).status < 300]).toEqual([name, true])
    }
  })
})
