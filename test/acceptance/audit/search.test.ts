/** audit-and-events §21, checks 15 and 15a: the ledger is searched over HTTP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inOneProcess } from '../../fixtures/topology.ts'
import { event, type Ledger, openLedger } from './scene.ts'

describe.each(inOneProcess ? (['redis', 'postgres'] as const) : (['redis'] as const))(
  'the ledger of a zone on %s',
  (driver) => {
    let ledger: Ledger
    beforeAll(async () => {
      ledger = await openLedger(driver)
      await ledger.send(...Array.from({ length: 30 }, () => event('zone-a')))
      await ledger.send(event('zone-a', { decision: 'deny', request_id: 'req-2', metadata_json: { a: 1 } }))
      await ledger.waitStored('zone-a', 31)
    })
    afterAll(() => ledger?.[Symbol.asyncDispose]())

    const json = async (path: string) => {
      const answer = await ledger.get(path)
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    }

    it('15 search is guarded, bounded and paged', async () => {
      const refused = await ledger.get('/api/audit/search?zone_id=zone-a', null)
      expect(refused.status).toBe(401)
      expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="caracal-audit"')
      expect((await ledger.get('/api/audit/search?zone_id=zone-a', 'wrong')).status).toBe(401)
      for (const bad of [
        '',
        '?zone_id=zone-a&since=yesterday',
        '?zone_id=zone-a&since=0000-01-01T00:00:00Z',
        '?zone_id=zone-a&limit=0',
        '?zone_id=zone-a&limit=ten',
        '?zone_id=zone-a&cursor=x',
      ]) {
        expect(await json(`/api/audit/search${bad}`)).toMatchObject({
          status: 400,
          body: { error: 'invalid_query' },
        })
      }
      const all = await json('/api/audit/search?zone_id=zone-a&limit=5000')
      expect(all.body.events).toHaveLength(31)
      const first = await json('/api/audit/search?zone_id=zone-a&limit=20')
      const second = await json(`/api/audit/search?zone_id=zone-a&limit=20&cursor=${first.body.next_cursor}`)
      const sequences = [first, second].flatMap((page) =>
        (page.body.events as { ChainSeq: number }[]).map((one) => one.ChainSeq),
      )
      expect(sequences).toEqual(Array.from({ length: 31 }, (_, index) => index + 1))
      expect(await json('/api/audit/search?zone_id=nobody')).toEqual({
        status: 200,
        body: { events: [], next_cursor: '' },
      })
    })

    it('15a elements have the v1 keys and the event as it was sent', async () => {
      const found = await json('/api/audit/search?zone_id=zone-a&decision=deny&request_id=req-2')
      const [element] = found.body.events as Record<string, unknown>[]
      expect(Object.keys(element ?? {})).toEqual([
        'Event',
        'IngestedAt',
        'ContentSHA256',
        'PrevContentSHA256',
        'ChainHMAC',
        'ChainSeq',
      ])
      expect(element?.Event).toMatchObject({
        zone_id: 'zone-a',
        decision: 'deny',
        request_id: 'req-2',
        metadata_json: { a: 1 },
        determining_policies_json: [],
        occurred_at: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/),
      })
      expect(element?.Event).not.toHaveProperty('policy_set_id')
    })

    it('JSON goes out as it is stored, every digit of its numbers', async () => {
      const sent = event('zone-digits', { metadata_json: { n: 0 } })
      await ledger.send(JSON.stringify(sent).replace('{"n":0}', '{"n":12345678901234567890,"x":1.50}'))
      await ledger.waitStored('zone-digits', 1)
      const stored = '{"n": 12345678901234567890, "x": 1.50}'
      const found = await (await ledger.get('/api/audit/search?zone_id=zone-digits')).text()
      expect(found).toContain(`"metadata_json":${stored}`)
      const line = await (await ledger.get('/api/audit/export?zone_id=zone-digits')).text()
      expect(line).toContain(`"metadata_json":${stored}`)
      expect(JSON.parse(line)).toMatchObject({ id: sent.id, chain_seq: 1, prev_content_sha256: null })
      const csv = await (await ledger.get('/api/audit/export?zone_id=zone-digits&format=csv')).text()
      expect(csv).toContain(`"${stored.replaceAll('"', '""')}"`)
    })
  },
)
