/** Starts and ends that share a transaction: each as if it were alone, and none at the cost of another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordWithin } from '../../../src/platform/admin-audit/gate.ts'
import { adminContentSha256 } from '../../../src/platform/admin-audit/record.ts'
import { createCredentialHasher, loadCredentialKey } from '../../../src/platform/crypto/credentials.ts'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { CredentialHasher } from '../../../src/platform/crypto/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import type { Caller } from '../../../src/roles/coordinator/caller.ts'
import { createSessionChanges } from '../../../src/roles/coordinator/change-queue.ts'
import {
  type Change,
  changeSessions,
  type EndChange,
  type Outcome,
} from '../../../src/roles/coordinator/change-sessions.ts'
import { startCounting } from '../../../src/roles/coordinator/counts.ts'
import { storedKey } from '../../../src/roles/coordinator/idempotency.ts'
import { createReceiptCounts } from '../../../src/roles/coordinator/receipt-counts.ts'
import type { StartChange, StartRequest } from '../../../src/roles/coordinator/start-session.ts'
import { testKeys } from '../../fixtures/settings.ts'
import { seedApplication, seedAuthorityRecord, seedBareZone } from '../../fixtures/zone.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
let hasher: CredentialHasher
beforeAll(async () => {
  stage = await createStage()
  const cipher = createEnvelopeCipher({ kek: Buffer.from(testKeys.SECRET_STORE_KEK, 'hex') })
  hasher = createCredentialHasher({
    credentialKey: await loadCredentialKey(stage.store.db, cipher),
    concurrency: 1,
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

const deps = () => ({
  db: stage.store.db,
  outbox: stage.outbox,
  keys: keyRing(stage.settings),
  settings: stage.settings,
  counts: startCounting(),
  receiptCounts: createReceiptCounts(),
  log: stage.log,
})

interface Place {
  readonly zoneId: string
  readonly applicationId: string
  readonly caller: Caller
}

async function place(): Promise<Place> {
  const { db } = stage.store
  const zoneId = await seedBareZone(db)
  const { id: applicationId } = await seedApplication(db, hasher, zoneId)
  const authorityRecordId = await seedAuthorityRecord(db, zoneId, {
    subjectId: applicationId,
    lifetimeSeconds: 3600,
  })
  const scopes = new Set(['agent:lifecycle'])
  const caller = {
    zoneId,
    subject: applicationId,
    clientId: applicationId,
    scopes,
    authorityRecordId,
    operator: false,
  }
  return { zoneId, applicationId, caller }
}

function asked(caller: Caller, method: string, path: string): { requestId: string; record: RecordWithin } {
  const requestId = uuidv7()
  let refused = false
  return {
    requestId,
    record: {
      open: () => Promise.reject(new Error('opened with the others')),
      refused: () => refused,
      refuse: () => {
        refused = true
      },
      written: () => undefined,
      describe: ({ status, entityId }) => ({
        requestId,
        actor: { id: caller.subject, name: caller.clientId, scope: 'agent:lifecycle' },
        action: `${method} ${path}`,
        method,
        path,
        zoneId: caller.zoneId,
        entityType: 'agents',
        entityId: entityId ?? null,
        statusCode: status,
        payload: null,
      }),
    },
  }
}

function starting(at: Place, over: Partial<StartRequest> = {}): StartChange {
  const request: StartRequest = {
    ...asked(at.caller, 'POST', `/zones/${at.zoneId}/agents`),
    caller: at.caller,
    applicationId: at.applicationId,
    subjectSessionId: null,
    subjectToken: null,
    parentId: null,
    lifecycle: 'task',
    labels: [],
    ttlSeconds: 600,
    parentAuthority: 'inherit',
    inheritParentEdgeId: null,
    metadata: {},
    idempotency: null,
    ...over,
  }
  return { kind: 'start', request, recordId: at.caller.authorityRecordId ?? '', proof: null, key: null }
}

function ending(
  at: Place,
  sessionId: string,
  caller: Caller = at.caller,
  leaseGeneration: number | null = null,
): EndChange {
  const path = `/zones/${at.zoneId}/agents/${sessionId}`
  const request = {
    ...asked(caller, 'DELETE', path),
    caller,
    sessionId,
    reason: 'requested',
    leaseGeneration,
  }
  return { kind: 'end', request }
}

const together = (changes: readonly Change[]): Promise<readonly Outcome[]> =>
  changeSessions(deps(), changes, { waits: false, records: true })

const idOf = (outcome: Outcome | undefined): string =>
  outcome?.kind === 'started' ? outcome.answer.entityId : `not started: ${JSON.stringify(outcome)}`

async function started(at: Place, over: Partial<StartRequest> = {}): Promise<string> {
  const [outcome] = await together([starting(at, over)])
  return idOf(outcome)
}

const codeOf = (outcome: Outcome | undefined): unknown =>
  outcome?.kind === 'refused' ? (outcome.error as { code?: unknown }).code : outcome?.kind

const sessionsOf = async ({ zoneId }: Place) => {
  const rows = await stage.store.db.sql<
    { id: string; status: string; termination_reason: string | null; child_count: number }[]
  >`
    select id, status, termination_reason, child_count
    from agent_sessions
    where zone_id = ${zoneId}
    order by id`
  return [...rows]
}

const eventsOf = async ({ zoneId }: Place) => {
  const rows = await stage.store.db.sql<
    { topic: string; dedupe_key: string; request_id: string; payload_json: Record<string, unknown> }[]
  >`
    select topic, dedupe_key, request_id, payload_json
    from caracal_outbox
    where payload_json ->> 'zone_id' = ${zoneId}
    order by id`
  return [...rows]
}

async function edgeBetween(at: Place, source: string, target: string): Promise<string> {
  const id = uuidv7()
  await stage.store.db.sql`
    insert into delegation_edges
      (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, expires_at)
    values
      (${id}, ${at.zoneId}, ${source}, ${target}, ${at.applicationId}, ${at.applicationId}, now() + interval '1 hour')`
  return id
}

describe('changes of several zones', () => {
  it('commit together, each with its events and its record in the chain of its zone', async () => {
    const places = await Promise.all([place(), place(), place()])
    const [one, two, three] = places as [Place, Place, Place]
    const old = await Promise.all([started(one), started(two)])
    const outcomes = await together([
      ending(one, old[0]),
      starting(three),
      starting(one),
      ending(two, old[1]),
      starting(three),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['ended', 'started', 'started', 'ended', 'started'])
    const rows = await stage.store.db.sql`
      select distinct xmin::text from agent_sessions where zone_id = any(${places.map(({ zoneId }) => zoneId)}::text[])`
    expect(rows).toHaveLength(1)
    for (const at of places) {
      const links = await stage.store.db.sql<Record<string, string>[]>`
        select *, to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
        from admin_audit_events
        where zone_id = ${at.zoneId}
        order by chain_seq`
      expect(links).toHaveLength(at === one ? 3 : 2)
      for (const [n, link] of links.entries()) {
        expect(Number(link.chain_seq)).toBe(n + 1)
        expect(link.prev_content_sha256 ?? null).toBe(links[n - 1]?.content_sha256 ?? null)
        const sealed = {
          requestId: link.request_id ?? '',
          actor: { id: link.actor_id ?? '', name: link.actor_name ?? '', scope: link.actor_scope ?? '' },
          action: link.action ?? '',
          method: link.method ?? '',
          path: link.path ?? '',
          zoneId: at.zoneId,
          entityType: 'agents',
          entityId: link.entity_id ?? null,
          statusCode: Number(link.status_code),
          payload: null,
          id: link.id ?? '',
          occurredAt: link.at ?? '',
          payloadText: null,
        }
        expect(link.content_sha256).toBe(adminContentSha256(sealed))
      }
    }
    const topics = (await eventsOf(one)).map(({ dedupe_key }) => dedupe_key.split(':')[0])
    expect(topics.filter((what) => what === 'spawn')).toHaveLength(2)
    expect(topics.filter((what) => what === 'terminate')).toHaveLength(1)
    expect(topics.filter((what) => what === 'agent_terminate')).toHaveLength(1)
  })

  it('one that is busy waits alone, and delays nobody', async () => {
    const [busy, free] = await Promise.all([place(), place()])
    const queue = createSessionChanges(deps())
    const blocker = await stage.store.open()
    let release: () => void = () => undefined
    let hold: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      hold = resolve
    })
    const blocking = blocker.transaction(async (tx) => {
      await tx.sql`select pg_advisory_xact_lock(hashtext(${`coordinator:agent_spawn:${busy.zoneId}`}))`
      hold()
      await new Promise<void>((resolve) => {
        release = resolve
      })
    })
    await held
    let over = false
    const waiting = Promise.all([
      queue.start(starting(busy)),
      queue.start(starting(busy)),
      queue.start(starting(busy)),
    ]).finally(() => {
      over = true
    })
    for (let n = 0; n < 5; n += 1) await queue.start(starting(free))
    expect(over).toBe(false)
    release()
    await blocking
    expect(await waiting).toHaveLength(3)
    expect(await sessionsOf(busy)).toHaveLength(3)
    expect(await sessionsOf(free)).toHaveLength(5)
    await blocker[Symbol.asyncDispose]()
  })

  it('one that ends much is made in a transaction of its own', async () => {
    const [one, two] = await Promise.all([place(), place()])
    const [source, target] = [await started(one), await started(one)]
    const { db } = stage.store
    await db.sql`
      insert into delegation_edges
        (id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, expires_at)
      select
        ${`${one.zoneId}:`} || n, ${one.zoneId}, ${source}, ${target}, ${one.applicationId}, ${one.applicationId},
        now() + interval '1 hour'
      from generate_series(1, 300) as n`
    const queue = createSessionChanges(deps())
    await Promise.all([queue.end(ending(one, target)), queue.start(starting(two))])
    expect((await sessionsOf(one)).find(({ id }) => id === target)?.status).toBe('terminated')
    expect(await sessionsOf(two)).toHaveLength(1)
    const [edges] = await db.sql`
      select count(*)::int as n from delegation_edges where zone_id = ${one.zoneId} and status = 'revoked'`
    expect(edges).toEqual({ n: 300 })
    const [shared] = await db.sql`
      select count(*)::int as n
      from agent_sessions one
      join agent_sessions two on two.xmin = one.xmin
      where one.id = ${target}
        and two.zone_id = ${two.zoneId}`
    expect(shared).toEqual({ n: 0 })
  })

  it('one that the store refuses takes no other with it', async () => {
    const [one, two] = await Promise.all([place(), place()])
    const { admin } = stage.store
    await admin`create function public.no_poison() returns trigger language plpgsql as
      $$ begin if 'poison' = any(new.labels) then raise exception 'not this one'; end if; return new; end $$`
    await admin`create trigger no_poison before insert on agent_sessions
      for each row execute function public.no_poison()`
    const queue = createSessionChanges(deps())
    const settled = await Promise.allSettled([
      queue.start(starting(one)),
      queue.start(starting(one, { labels: ['poison'] })),
      queue.start(starting(two)),
      queue.start(starting(one)),
    ])
    await admin`drop trigger no_poison on agent_sessions`
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(await sessionsOf(one)).toHaveLength(2)
    expect(await sessionsOf(two)).toHaveLength(1)
    expect((await eventsOf(one)).filter(({ dedupe_key }) => dedupe_key.startsWith('spawn'))).toHaveLength(2)
  })
})

describe('changes of one zone', () => {
  it('each start counts those before it: sixty in an empty zone, fifty start', async () => {
    const at = await place()
    const outcomes = await together(Array.from({ length: 60 }, () => starting(at)))
    expect(outcomes.filter(({ kind }) => kind === 'started')).toHaveLength(50)
    expect(new Set(outcomes.slice(50).map(codeOf))).toEqual(new Set(['session_zone_limit_exceeded']))
    expect(await sessionsOf(at)).toHaveLength(50)
  })

  it('a place that an end of the same transaction makes free is taken', async () => {
    const at = await place()
    const first = await together(Array.from({ length: 50 }, () => starting(at)))
    const outcomes = await together([starting(at), ending(at, idOf(first[7])), starting(at)])
    expect(outcomes.map(codeOf)).toEqual(['started', 'ended', 'session_zone_limit_exceeded'])
  })

  it('twelve children of one parent: ten start and are counted', async () => {
    const at = await place()
    const parentId = await started(at)
    const outcomes = await together(Array.from({ length: 12 }, () => starting(at, { parentId })))
    expect(outcomes.map(codeOf)).toEqual([
      ...Array.from({ length: 10 }, () => 'started'),
      'session_children_limit_exceeded',
      'session_children_limit_exceeded',
    ])
    expect((await sessionsOf(at)).find(({ id }) => id === parentId)?.child_count).toBe(10)
  })

  it('children of a parent that ends with them do not start', async () => {
    const at = await place()
    const parentId = await started(at)
    const outcomes = await together([starting(at, { parentId }), ending(at, parentId)])
    expect(outcomes.map(codeOf)).toEqual(['parent_not_found', 'ended'])
  })

  it('a session asked for twice ends once, one below another ends with it, and parents that live on are counted down', async () => {
    const at = await place()
    const top = await started(at)
    const middle = await started(at, { parentId: top })
    const low = await started(at, { parentId: middle })
    const lowest = await started(at, { parentId: low })
    const beside = await started(at, { parentId: top })
    const outcomes = await together([
      ending(at, lowest),
      ending(at, middle),
      ending(at, low),
      ending(at, middle),
      ending(at, beside),
    ])
    expect(outcomes.map(codeOf)).toEqual([
      'session_not_found',
      'ended',
      'session_not_found',
      'session_not_found',
      'ended',
    ])
    const rows = new Map((await sessionsOf(at)).map((row) => [row.id, row]))
    const reasonOf = (id: string) => [rows.get(id)?.status, rows.get(id)?.termination_reason]
    expect(reasonOf(top)).toEqual(['active', null])
    expect(rows.get(top)?.child_count).toBe(0)
    expect(reasonOf(middle)).toEqual(['terminated', 'requested'])
    expect(reasonOf(low)).toEqual(['terminated', 'parent_terminated'])
    expect(reasonOf(lowest)).toEqual(['terminated', 'parent_terminated'])
    expect(reasonOf(beside)).toEqual(['terminated', 'requested'])
    const told = (await eventsOf(at)).filter(({ dedupe_key }) => dedupe_key.startsWith('agent_terminate'))
    expect(told.map(({ payload_json }) => payload_json.agent_session_id).sort()).toEqual(
      [middle, low, lowest, beside].sort(),
    )
  })

  it('edges of two ends: the epoch rises once, and each is told under its own request', async () => {
    const at = await place()
    const [source, one, two] = [await started(at), await started(at), await started(at)]
    const edges = [await edgeBetween(at, source, one), await edgeBetween(at, source, two)]
    const ends = [ending(at, one), ending(at, two)]
    expect((await together(ends)).map(codeOf)).toEqual(['ended', 'ended'])
    expect(
      await stage.store.db.sql`select epoch::int from delegation_graph_epochs where zone_id = ${at.zoneId}`,
    ).toEqual([{ epoch: 1 }])
    const events = await eventsOf(at)
    const cuts = events.filter(({ dedupe_key }) => dedupe_key.startsWith('edge_revoke:'))
    expect(
      cuts.map(({ request_id, payload_json }) => [payload_json.edge_id, request_id, payload_json.epoch]),
    ).toEqual(edges.map((id, n) => [id, ends[n]?.request.requestId, 1]))
    const rises = events.filter(({ dedupe_key }) => dedupe_key.startsWith('delegation_epoch:'))
    expect(rises.map(({ payload_json }) => payload_json.epoch)).toEqual([1])
  })

  it('who may not end a session does not, whoever else ends one with them', async () => {
    const at = await place()
    const mine = await started(at)
    const service = await started(at, { lifecycle: 'service', ttlSeconds: null })
    const stranger = { ...at.caller, clientId: 'stranger' }
    const outcomes = await together([
      ending(at, mine, stranger),
      ending(at, service),
      ending(at, service, at.caller, 1e21),
      ending(at, uuidv7()),
      ending(at, mine, { ...stranger, scopes: new Set([`coordinator.spawn_for:${at.applicationId}`]) }),
    ])
    expect(outcomes.map(codeOf)).toEqual([
      'application_ownership_required',
      'lease_generation_required',
      'session_lease_fenced',
      'session_not_found',
      'ended',
    ])
    expect((await sessionsOf(at)).map(({ status }) => status).sort()).toEqual(['active', 'terminated'])
  })

  it('each new key counts those before it', async () => {
    const at = await place()
    const keyed = (): StartChange => ({
      ...starting(at),
      key: storedKey(deps(), {
        operation: 'session.start.v2',
        zoneId: at.zoneId,
        scopeId: at.applicationId,
        key: uuidv7(),
        fingerprint: {},
        retentionSeconds: 60,
        maxReceipts: 2,
      }),
    })
    const again = keyed()
    const outcomes = await together([again, keyed(), keyed(), starting(at)])
    expect(outcomes.map(codeOf)).toEqual([
      'started',
      'started',
      'idempotency_receipt_limit_exceeded',
      'started',
    ])
    const [repeat] = await together([{ ...again, request: starting(at).request }])
    expect(repeat).toMatchObject({ kind: 'started', answer: { replayed: true, entityId: idOf(outcomes[0]) } })
  })
})
