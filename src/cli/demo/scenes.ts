/** The demo's plot. Every claim it makes about Caracal is an expectation that can fail. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, claimsOf } from './agent.ts'
import { type Answer, mustCall, text } from './http.ts'
import { readScope, type Setup, writeScope } from './operator.ts'
import { duration, type Story } from './story.ts'
import type { Upstream } from './upstream.ts'

/** What the running server tells about a zone's evidence. */
export interface ChainCheck {
  readonly checked: number
  readonly findings: readonly { readonly kind: string; readonly chainSeq: number }[]
}

export interface Stage {
  readonly story: Story
  readonly agent: Agent
  readonly setup: Setup
  readonly upstream: Upstream
  readonly apiKey: string
  readonly control: { readonly url: string; readonly adminToken: string }
  readonly verifyChain: (zoneId: string) => Promise<ChainCheck>
  /** Ends the story between two scenes. */
  readonly signal: AbortSignal
}

interface Authority {
  readonly lifecycle: string
  readonly source: string
  readonly target: string
  readonly delegation: string
}

export async function play(stage: Stage): Promise<void> {
  const scene = <T>(title: string, act: () => Promise<T>): Promise<T> => {
    stage.signal.throwIfAborted()
    return stage.story.scene(title, act)
  }
  const authority = await scene('The agent gets authority (cold call)', () => cold(stage))
  await scene('What the upstream saw', async () => upstreamView(stage))
  await scene('The same call, warm', () => warm(stage, authority))
  await scene('A mandate is used once', () => replay(stage, authority))
  await scene('Authority only narrows', () => narrowing(stage, authority))
  const denied = await scene('The session is revoked', () => revoke(stage, authority))
  await scene('The evidence', () => evidence(stage, denied))
}

async function cold(stage: Stage): Promise<Authority> {
  const { agent, story } = stage
  const started = performance.now()
  const lifecycle = await agent.bootstrap()
  story.say('The application proves itself to the STS and gets a lifecycle mandate.')
  const [source, target] = await Promise.all([agent.startSession(lifecycle), agent.startSession(lifecycle)])
  const delegation = await agent.delegate(lifecycle, source, target, [readScope])
  story.say(`Two sessions; the first delegates ${readScope}, and nothing else, to the second.`)
  const minted = await agent.mint(target, delegation, readScope)
  story.expect('the STS mints a gateway mandate', minted.status === 200, seen(minted))
  const mandate = text(minted, 'access_token')
  const claims = claimsOf(mandate)
  for (const name of ['use', 'scope', 'target', 'agent_session_id', 'delegation_path', 'hop_count', 'exp']) {
    story.fact(name, shown(name, claims))
  }
  story.expect('the mandate is for the gateway only', claims.use === 'gateway')
  story.expect(
    'it carries one scope, one resource and the delegation it stands on',
    isNarrow(claims, delegation),
  )
  const answer = await agent.fetch(mandate, 'GET', '/items')
  story.expect('the governed call succeeds', answer.status === 200, seen(answer))
  story.fact('cold call', duration(performance.now() - started))
  return { lifecycle, source, target, delegation }
}

function upstreamView(stage: Stage): void {
  const { story, upstream } = stage
  const received = upstream.received.at(-1)
  const headers = received?.headers ?? {}
  const everything = JSON.stringify(upstream.received)
  story.fact('request', `${received?.method} ${received?.path}`)
  story.fact('x-api-key', `${String(headers['x-api-key']).slice(0, 8)}…`)
  story.fact('authorization', String(headers.authorization ?? 'none'))
  story.expect('the real API key arrived, injected by the gateway', headers['x-api-key'] === stage.apiKey)
  story.expect(
    'no mandate and no application secret arrived',
    !/eyJ/.test(everything) && !everything.includes(stage.setup.clientSecret),
  )
  story.expect(
    'no Caracal routing header arrived',
    !Object.keys(headers).some((name) => name.startsWith('x-caracal')),
  )
}

async function warm(stage: Stage, authority: Authority): Promise<void> {
  const { agent, story } = stage
  const times: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const started = performance.now()
    const minted = await agent.mint(authority.target, authority.delegation, readScope)
    const answer = await agent.fetch(text(minted, 'access_token'), 'GET', '/items')
    times.push(performance.now() - started)
    if (answer.status !== 200) story.expect('every warm call succeeds', false, seen(answer))
  }
  const median = times.toSorted((a, b) => a - b)[2] ?? 0
  story.say('A new mandate for each request, then the request: two HTTP calls, decided afresh each time.')
  story.fact('mint + call', `median ${duration(median)} of ${times.length}`)
  story.expect('warm calls reached the upstream', stage.upstream.received.length === 1 + times.length)
}

async function replay(stage: Stage, authority: Authority): Promise<void> {
  const { agent, story, upstream } = stage
  const mandate = text(await agent.mint(authority.target, authority.delegation, readScope), 'access_token')
  const before = upstream.received.length
  const first = await agent.fetch(mandate, 'GET', '/items')
  const second = await agent.fetch(mandate, 'GET', '/items')
  story.expect('the first use passes', first.status === 200, seen(first))
  story.fact('second use', seen(second))
  story.expect(
    'the second use of the same mandate is refused',
    second.status === 401 && second.body.error === 'invalid_token',
    seen(second),
  )
  story.expect('and never reaches the upstream', upstream.received.length === before + 1)
}

async function narrowing(stage: Stage, authority: Authority): Promise<void> {
  const { agent, story, upstream } = stage
  const wider = await agent.mint(authority.target, authority.delegation, writeScope)
  story.fact(`asking for ${writeScope}`, seen(wider))
  story.expect(
    'a scope outside the delegation is refused',
    wider.status === 403 && wider.body.access_token === undefined,
    seen(wider),
  )
  const before = upstream.received.length
  const mandate = text(await agent.mint(authority.target, authority.delegation, readScope), 'access_token')
  const write = await agent.fetch(mandate, 'POST', '/items')
  story.fact('POST with a read mandate', seen(write))
  story.expect('an operation outside the mandate is refused', write.status === 403, seen(write))
  story.expect('and never reaches the upstream', upstream.received.length === before)
}

/** Revokes, shows both refusals, and returns the request id of the refused call. */
async function revoke(stage: Stage, authority: Authority): Promise<string> {
  const { agent, story, upstream } = stage
  const minted = await agent.mint(authority.target, authority.delegation, readScope)
  const unused = text(minted, 'access_token')
  const before = upstream.received.length
  const ended = await agent.endSession(authority.lifecycle, authority.source)
  story.expect('one call ends the delegating session', ended.status === 204, seen(ended))
  const refused = await agent.mint(authority.target, authority.delegation, readScope)
  story.fact('next mint', seen(refused))
  story.expect('the delegated session cannot mint any more', refused.status === 403, seen(refused))
  const late = await agent.fetch(unused, 'GET', '/items')
  story.fact('mandate from before', seen(late))
  story.expect(
    'a mandate minted before the revocation is refused',
    late.status === 401 || late.status === 403,
    seen(late),
  )
  story.expect('and nothing reached the upstream', upstream.received.length === before)
  return late.headers.get('x-request-id') ?? ''
}

async function evidence(stage: Stage, deniedRequest: string): Promise<void> {
  const { story, setup } = stage
  const events = await eventsOf(stage)
  const counted = new Map<string, number>()
  for (const event of events) {
    const label = `${event.event_type} ${event.decision} ${event.evaluation_status}`
    counted.set(label, (counted.get(label) ?? 0) + 1)
  }
  for (const [label, count] of counted) story.fact(`${count} ×`, label)
  const has = (type: string, decision: string) =>
    events.some((event) => event.event_type === type && event.decision === decision)
  story.expect(
    'every grant is recorded',
    has('token_exchange', 'allow') && has('gateway_resource_request', 'allow'),
  )
  story.expect('every refusal is recorded', has('token_exchange', 'deny') && has('replay_detected', 'deny'))
  story.expect('the refused call can be looked up by its request id', deniedRequest !== '')
  const chain = await stage.verifyChain(setup.zoneId)
  story.expect(
    `the hash chain of all ${chain.checked} events verifies`,
    chain.findings.length === 0 && chain.checked >= events.length,
    JSON.stringify(chain.findings),
  )
}

interface EventRow {
  readonly event_type: string
  readonly decision: string
  readonly evaluation_status: string
}

/** Reads the zone's trail once it holds what the scenes did: ingest runs a moment behind the answers. */
/** What the story must have left behind. */
const recorded = [
  ['token_exchange', 'allow'],
  ['gateway_resource_request', 'allow'],
  ['token_exchange', 'deny'],
  ['replay_detected', 'deny'],
] as const

/** Evidence of a refusal is not waited for by its answer: it may be stored a moment later. */
async function eventsOf(stage: Stage): Promise<readonly EventRow[]> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const answer = await mustCall(`${stage.control.url}/v1/zones/${stage.setup.zoneId}/audit?limit=200`, {
      bearer: stage.control.adminToken,
    })
    const events = answer.body.items as readonly EventRow[]
    const settled = recorded.every(([type, decision]) =>
      events.some((event) => event.event_type === type && event.decision === decision),
    )
    if (settled || performance.now() > deadline) return events
    await sleep(50)
  }
}

function isNarrow(claims: Readonly<Record<string, unknown>>, delegation: string): boolean {
  const target = claims.target as readonly string[] | undefined
  const path = claims.delegation_path as readonly string[] | undefined
  return claims.scope === readScope && target?.length === 1 && path?.at(-1) === delegation
}

function shown(name: string, claims: Readonly<Record<string, unknown>>): string {
  const value = claims[name]
  if (name === 'exp' && typeof value === 'number' && typeof claims.iat === 'number')
    return `in ${value - claims.iat} s`
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function seen(answer: Answer): string {
  const { error, error_description: description } = answer.body
  const why =
    typeof error === 'string' ? ` ${error}${typeof description === 'string' ? `: ${description}` : ''}` : ''
  return `${answer.status}${why}`
}
