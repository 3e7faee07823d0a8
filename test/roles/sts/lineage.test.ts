import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConstraints } from '../../../src/roles/sts/constraints.ts'
import { readDelegation } from '../../../src/roles/sts/lineage.ts'
import type { EdgeState, SessionState, Snapshot } from '../../../src/roles/sts/store/snapshot.ts'

const now = 1_790_000_000_000

function session(id: string, application = 'app'): SessionState {
  return {
    id,
    application_id: application,
    status: 'active',
    lifecycle: 'task',
    labels: [],
    ttl_seconds: 3600,
    started_at: now - 1000,
    heartbeat_deadline_at: null,
    parent_id: null,
    depth: 0,
    record: {
      id: `r-${id}`,
      session_type: 'application',
      subject_id: application,
      status: 'active',
      expires_at: now + 1000,
    },
  }
}

/** A healthy chain of `length` edges; `change` edits one of them (0 = root). */
function chain(
  length: number,
  change: (edge: EdgeState, index: number) => EdgeState = (edge) => edge,
): Snapshot {
  const edges = Array.from({ length }, (_, index) =>
    change(
      {
        step: length - index,
        id: `e${index}`,
        parent_edge_id: index === 0 ? null : `e${index - 1}`,
        source_session_id: `s${index}`,
        target_session_id: `s${index + 1}`,
        issuer_application_id: 'app',
        receiver_application_id: 'app',
        resource_id: null,
        scopes: ['x'],
        // A budget of its own keeps an edge from looking like an inherited mirror of its parent.
        constraints_json: { max_hops: Math.max(1, length - index), budget: index + 1 },
        status: 'active',
        expires_at: now + 60_000,
        revoked: false,
        edge_version: 0,
        row_version: '1',
      },
      index,
    ),
  )
  return {
    now,
    lineage: edges.toReversed(),
    sessions: Array.from({ length: length + 1 }, (_, index) => session(`s${index}`)),
    epoch: 3,
  } as unknown as Snapshot
}

const read = (snapshot: Snapshot, length: number) =>
  readDelegation({
    snapshot,
    edgeId: `e${length - 1}`,
    agentSessionId: `s${length}`,
    applicationId: 'app',
  })

describe('delegation lineages', () => {
  test('every healthy chain up to ten edges carries authority', () => {
    for (let length = 1; length <= 10; length++) {
      const delegation = read(chain(length), length)
      expect(delegation).toMatchObject({ epoch: 3 })
      if ('broken' in delegation) continue
      expect(delegation.lineage.map((edge) => edge.id)).toEqual(
        Array.from({ length }, (_, index) => `e${index}`),
      )
      expect(delegation.chain).toHaveLength(length + 1)
    }
    expect(read(chain(11), 11)).toHaveProperty('broken')
  })

  test('one defect anywhere breaks the whole chain', () => {
    const defects: ((edge: EdgeState) => EdgeState)[] = [
      (edge) => ({ ...edge, status: 'revoked' }),
      (edge) => ({ ...edge, status: 'expired' }),
      (edge) => ({ ...edge, revoked: true }),
      (edge) => ({ ...edge, expires_at: now }),
      (edge) => ({ ...edge, parent_edge_id: 'elsewhere' }),
      (edge) => ({ ...edge, issuer_application_id: 'other' }),
      (edge) => ({ ...edge, receiver_application_id: 'other' }),
      (edge) => ({ ...edge, source_session_id: 'gone' }),
      (edge) => ({ ...edge, target_session_id: 'gone' }),
      (edge) => ({ ...edge, constraints_json: { max_hops: 'many' } }),
      (edge) => ({ ...edge, constraints_json: { unknown: 1 } }),
      (edge) => ({ ...edge, constraints_json: null }),
    ]
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.nat(),
        fc.constantFrom(...defects),
        (length, where, defect) => {
          const at = where % length
          const snapshot = chain(length, (edge, index) => (index === at ? defect(edge) : edge))
          expect(read(snapshot, length)).toHaveProperty('broken')
        },
      ),
    )
  })

  test('an edge never allows more re-delegations than it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10 }), fc.nat(), (length, where) => {
        const at = where % (length - 1)
        const below = length - 1 - at
        const snapshot = chain(length, (edge, index) =>
          index === at ? { ...edge, constraints_json: { max_hops: below } } : edge,
        )
        expect(read(snapshot, length)).toHaveProperty('broken')
      }),
    )
  })

  test('a session that died anywhere breaks the chain', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.nat(), (length, where) => {
        const snapshot = chain(length)
        const at = where % (length + 1)
        const sessions = snapshot.sessions.map((one, index) =>
          index === at ? { ...one, status: 'suspended' } : one,
        )
        expect(read({ ...snapshot, sessions }, length)).toHaveProperty('broken')
      }),
    )
  })
})

describe('constraints', () => {
  test.each([
    [{}, { resources: [], ttlSeconds: null, maxHops: 1, expiresAt: null }],
    [{ max_depth: 3 }, { maxHops: 3 }],
    [{ max_hops: 0, max_depth: 2 }, { maxHops: 2 }],
    [{ max_hops: 2, max_depth: 2, budget: 64, policy_approved: true, broad_reason: 'x' }, { maxHops: 2 }],
    [
      { ttl_seconds: 5, resources: ['a'] },
      { ttlSeconds: 5, resources: ['a'] },
    ],
    [{ expires_at: '2026-09-21T14:15:00Z' }, { expiresAt: Date.UTC(2026, 8, 21, 14, 15) }],
  ])('%j', (value, expected) => {
    expect(parseConstraints(value)).toMatchObject(expected)
  })

  test.each([
    null,
    [],
    'x',
    { scopes: ['a'] },
    { max_hops: 2, max_depth: 3 },
    { max_hops: 11 },
    { max_hops: -1 },
    { max_hops: 1.5 },
    { budget: 0 },
    { budget: 65 },
    { ttl_seconds: '5' },
    { resources: 'a' },
    { resources: [1] },
    { policy_approved: 'yes' },
    { broad_reason: 1 },
    { expires_at: 'tomorrow' },
    { expires_at: 5 },
  ])('%j is invalid', (value) => {
    expect(parseConstraints(value)).toHaveProperty('invalid')
  })
})
