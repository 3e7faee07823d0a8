import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AdminAction } from '../../../src/platform/admin-audit/record.ts'
import { adminContentSha256 } from '../../../src/platform/admin-audit/record.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { groupRecords } from '../../../src/roles/coordinator/group-records.ts'
import { seedBareZone } from '../../fixtures/zone.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const actionIn = (zoneId: string | null, requestId: string): AdminAction => ({
  requestId,
  actor: { id: 'a', name: 'a', scope: 's' },
  action: 'POST /zones/z/agents',
  method: 'POST',
  path: '/zones/z/agents',
  zoneId,
  entityType: 'agents',
  entityId: requestId,
  statusCode: 201,
  payload: null,
})

const recorder = () => groupRecords({ db: stage.store.db, keys: keyRing(stage.settings), log: stage.log })

describe('records that commit together', () => {
  it('make one unbroken chain for each zone, whatever order they came in', async () => {
    const zones = [await seedBareZone(stage.store.db), await seedBareZone(stage.store.db), null]
    await using one = recorder()
    await using other = recorder()
    await Promise.all(
      Array.from({ length: 120 }, (_, at) =>
        (at % 2 === 0 ? one : other).record(actionIn(zones[at % 3] ?? null, `r${at}`)),
      ),
    )
    for (const zoneId of zones) {
      const rows = await stage.store.db.sql<Record<string, string>[]>`
        select *, to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at from admin_audit_events
        where zone_id is not distinct from ${zoneId}
        order by chain_seq`
      expect(rows).toHaveLength(40)
      for (const [at, row] of rows.entries()) {
        expect(Number(row.chain_seq)).toBe(at + 1)
        expect(row.prev_content_sha256 ?? null).toBe(rows[at - 1]?.content_sha256 ?? null)
        expect(row.content_sha256).toBe(
          adminContentSha256({
            ...actionIn(zoneId, row.request_id ?? ''),
            id: row.id ?? '',
            occurredAt: row.at ?? '',
            payloadText: null,
          }),
        )
      }
    }
  })

  it('one that cannot be written fails alone', async () => {
    await using records = recorder()
    const zoneId = await seedBareZone(stage.store.db)
    const bad = { ...actionIn(zoneId, 'bad'), statusCode: 1e12 }
    const outcomes = await Promise.allSettled([
      records.record(actionIn(zoneId, 'before')),
      records.record(actionIn(zoneId, 'first')),
      records.record(bad),
      records.record(actionIn(zoneId, 'last')),
    ])
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
  })
})
