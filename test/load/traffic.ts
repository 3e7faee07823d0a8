/**
 * Governed traffic as agents make it: calls, delegations that are revoked, approvals. It never
 * stops for an error; what may not happen is written into the books where it happens.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { readScope, resource, writeScope } from '../../src/cli/demo/operator.ts'
import type { Books } from './books.ts'
import type { AnsweringRole } from './documented-refusal.ts'
import type { Actor, Scene } from './scene.ts'
import { type Outgoing, send, type Told } from './send.ts'

export interface Traffic {
  /** Works until `running` says no. */
  run(running: () => boolean): Promise<void>
  /** Presents mandates that were revoked or spent before; none may work. */
  presentDead(limit: number): Promise<void>
  /** One whole governed call with an authority of its own; what went wrong, else `null`. */
  probe(): Promise<string | null>
}

/** Authority of one worker, renewed long before it ends. */
interface Authority {
  readonly lifecycle: string
  readonly session: string
  readonly delegation: string
  readonly until: number
}

interface Revoked {
  readonly actor: Actor
  readonly session: string
  readonly delegation: string
  readonly mandates: string[]
}

const authorityMs = 5 * 60_000
/** Later than this a revoked mandate has expired and proves nothing. */
const worthPresentingMs = 10 * 60_000

export function createTraffic(scene: Scene, books: Books, adminToken: string): Traffic {
  const revoked: (Revoked & { readonly at: number })[] = []
  const spent: { readonly mandate: string; readonly at: number }[] = []
  const pools = {
    sts: scene.sts,
    gateway: scene.gateway,
    coordinator: scene.coordinator,
    control: scene.control,
  }

  /**
   * An answer that is not 2xx is judged and ends the round. `since`: when what it presents was asked for, as a mandate
   * minted while something was broken may be refused once that is mended.
   */
  async function must(
    role: AnsweringRole,
    what: string,
    request: Outgoing,
    since?: number,
  ): Promise<Told | null> {
    const answer = await send(pools[role], request)
    if (answer.ok) {
      if (role === 'sts' || role === 'gateway') books.granted.push(answer.requestId)
      return answer
    }
    books.refused(role, what, answer, since ?? answer.from)
    return null
  }

  /** An answer that is 2xx breaks an invariant; one that is no refusal of its own is judged. */
  async function mustNot(role: AnsweringRole, what: string, request: Outgoing): Promise<void> {
    const answer = await send(pools[role], request)
    if (role === 'gateway') books.forbidden.push(answer.requestId)
    if (answer.ok) {
      books.granted.push(answer.requestId)
      books.broken.push(`${what}: ${answer.status}, request ${answer.requestId}`)
    } else if (answer.status < 400 || answer.status >= 500) books.refused(role, what, answer, answer.from)
  }

  const exchange = ({ identity }: Actor, fields: Readonly<Record<string, string>>): Outgoing => ({
    method: 'POST',
    path: '/oauth/2/token',
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      zone_id: identity.zoneId,
      application_id: identity.applicationId,
      client_secret: identity.clientSecret,
      resource,
      ...fields,
    },
  })
  const delegated = (actor: Actor, session: string, delegation: string, scope = readScope): Outgoing =>
    exchange(actor, {
      agent_session_id: session,
      delegation_edge_id: delegation,
      scope,
      ttl_seconds: '900',
    })
  const items = (mandate: string, method = 'GET'): Outgoing => ({
    method,
    path: '/items',
    bearer: mandate,
    headers: { 'x-caracal-resource': resource },
    ...(method === 'POST' ? { json: { sku: 'lynx-1' } } : {}),
  })

  async function startSession({ identity }: Actor, lifecycle: string): Promise<string | null> {
    const answer = await must('coordinator', 'start session', {
      method: 'POST',
      path: `/zones/${identity.zoneId}/agents`,
      bearer: lifecycle,
      headers: { 'idempotency-key': randomUUID() },
      json: { application_id: identity.applicationId, ttl_seconds: 1200, labels: [identity.applicationId] },
    })
    if (answer !== null) books.counts.sessions += 1
    return answer?.member('agent_session_id') ?? null
  }

  async function delegate(
    { identity }: Actor,
    lifecycle: string,
    source: string,
    target: string,
    scopes: readonly string[],
  ): Promise<string | null> {
    const answer = await must('coordinator', 'delegate', {
      method: 'POST',
      path: `/zones/${identity.zoneId}/delegations`,
      bearer: lifecycle,
      json: {
        issuer_application_id: identity.applicationId,
        receiver_application_id: identity.applicationId,
        source_session_id: source,
        target_session_id: target,
        scopes,
        constraints: { resources: [resource] },
        ttl_seconds: 1200,
      },
    })
    return answer?.member('delegation_edge_id') ?? null
  }

  async function obtain(actor: Actor): Promise<Authority | null> {
    const bootstrap = await must('sts', 'bootstrap', exchange(actor, { scope: 'agent:lifecycle' }))
    if (bootstrap === null) return null
    const lifecycle = bootstrap.member('access_token')
    const source = await startSession(actor, lifecycle)
    const session = await startSession(actor, lifecycle)
    if (source === null || session === null) return null
    const delegation = await delegate(actor, lifecycle, source, session, [readScope, writeScope])
    if (delegation === null) return null
    return { lifecycle, session, delegation, until: performance.now() + authorityMs }
  }

  /** Answers whether the call went through. A mandate that worked must not work again. */
  async function call(actor: Actor, { session, delegation }: Authority): Promise<boolean> {
    const minted = await must('sts', 'mint', delegated(actor, session, delegation))
    if (minted === null) return false
    const mandate = minted.member('access_token')
    const answer = await must('gateway', 'call', items(mandate), minted.from)
    if (answer === null) return false
    if (Math.random() < 0.1) {
      books.counts.replays += 1
      await mustNot('gateway', 'a spent mandate worked again', items(mandate))
    } else if (spent.length < 2000) spent.push({ mandate, at: performance.now() })
    return true
  }

  /** One edge's life: after its revocation neither mandates in hand nor a new exchange may work. */
  async function revoke(
    actor: Actor,
    { lifecycle, session, delegation: unrelated }: Authority,
  ): Promise<void> {
    const source = await startSession(actor, lifecycle)
    const target = await startSession(actor, lifecycle)
    if (source === null || target === null) return
    const delegation = await delegate(actor, lifecycle, source, target, [readScope])
    if (delegation === null) return
    const mandates: string[] = []
    for (let count = 0; count < 3; count += 1) {
      const minted = await must('sts', 'mint before revocation', delegated(actor, target, delegation))
      if (minted !== null) mandates.push(minted.member('access_token'))
    }
    const zone = `/zones/${actor.identity.zoneId}`
    const answer = await must('coordinator', 'revoke', {
      method: 'PATCH',
      path: `${zone}/delegations/${delegation}/revoke`,
      bearer: lifecycle,
    })
    if (answer !== null) {
      books.counts.revocations += 1
      const first = mandates.pop()
      if (first !== undefined) await mustNot('gateway', 'a revoked mandate worked', items(first))
      await mustNot('sts', 'a revoked delegation minted', delegated(actor, target, delegation))
      revoked.push({ actor, session: target, delegation, mandates, at: performance.now() })
      // The control group: what was not revoked goes on.
      books.counts.unrelated += 1
      await call(actor, { lifecycle, session, delegation: unrelated, until: 0 })
    }
    // The target ended with its only authority.
    await must('coordinator', 'end session', {
      method: 'DELETE',
      path: `${zone}/agents/${source}`,
      bearer: lifecycle,
    })
  }

  /** Delegations whose approval may still be unspent: deciding or minting was not answered. */
  const perhapsApproved = new Set<string>()

  /** A gated scope: refused, decided by an operator, granted once. */
  async function approve(actor: Actor, { session, delegation }: Authority): Promise<void> {
    const asking = delegated(actor, session, delegation, writeScope)
    const held = await send(scene.sts, asking)
    if (held.ok) books.granted.push(held.requestId)
    if (held.ok && perhapsApproved.delete(delegation)) return
    if (held.ok) books.broken.push(`a gated scope was granted without approval, request ${held.requestId}`)
    if (held.status !== 401 || !held.body.includes('interaction_required')) {
      books.refused('sts', 'ask for approval', held, held.from)
      return
    }
    const approvalId = held.member('approval_id')
    perhapsApproved.add(delegation)
    const decided = await must('control', 'approve', {
      method: 'POST',
      path: `/v1/zones/${actor.identity.zoneId}/approvals/${approvalId}/approve`,
      bearer: adminToken,
      json: {},
    })
    if (decided === null) return
    const form = { ...(asking.form as Record<string, string>), approval_id: approvalId }
    const minted = await must('sts', 'mint with approval', { ...asking, form })
    if (minted === null) return
    perhapsApproved.delete(delegation)
    const approved = items(minted.member('access_token'), 'POST')
    const answer = await must('gateway', 'approved call', approved, minted.from)
    if (answer !== null) books.counts.approvals += 1
  }

  type Round = (actor: Actor, authority: Authority) => Promise<unknown>

  async function worker(actor: Actor, running: () => boolean, pauseMs: number, round: Round): Promise<void> {
    let authority: Authority | null = null
    while (running()) {
      if (authority === null || performance.now() > authority.until) authority = await obtain(actor)
      const before = books.refusals()
      if (authority !== null) await round(actor, authority)
      // A client that was refused tries again after a moment, as every SDK does.
      await sleep(books.refusals() > before ? 100 : pauseMs)
    }
  }

  let probing: Authority | null = null
  const [first] = scene.actors
  if (first === undefined) throw new Error('the scene has no actors')

  return {
    async run(running) {
      const rounds: readonly (readonly [number, Round])[] = [
        [5, call],
        [5, call],
        [50, revoke],
        [100, approve],
      ]
      await Promise.all(
        rounds.map(([pauseMs, round], index) =>
          worker(scene.actors[index % scene.actors.length] ?? first, running, pauseMs, round),
        ),
      )
    },

    async presentDead(limit) {
      const stillValid = ({ at }: { readonly at: number }) => performance.now() - at < worthPresentingMs
      for (const one of revoked.filter(stillValid).slice(-limit)) {
        const mandate = one.mandates.pop()
        if (mandate !== undefined) await mustNot('gateway', 'a revoked mandate worked later', items(mandate))
        await mustNot(
          'sts',
          'a revoked delegation minted later',
          delegated(one.actor, one.session, one.delegation),
        )
      }
      for (const { mandate } of spent.splice(0).filter(stillValid).slice(-limit)) {
        books.counts.replays += 1
        await mustNot('gateway', 'a spent mandate worked later', items(mandate))
      }
    },

    async probe() {
      const steps = async (): Promise<string | null> => {
        if (probing === null || performance.now() > probing.until) probing = await obtain(first)
        if (probing === null) return 'no authority'
        const minted = await send(scene.sts, delegated(first, probing.session, probing.delegation))
        if (!minted.ok) return `mint ${minted.status} ${minted.body.slice(0, 120)}`
        books.granted.push(minted.requestId)
        const answer = await send(scene.gateway, items(minted.member('access_token')))
        if (!answer.ok) return `call ${answer.status} ${answer.body.slice(0, 120)}`
        books.granted.push(answer.requestId)
        return null
      }
      return steps()
    },
  }
}
