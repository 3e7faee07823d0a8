/** Export and tail of a zone over HTTP. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { event, type Ledger, openLedger, operatorToken } from './scene.ts'

let ledger: Ledger
beforeAll(async () => {
  ledger = await openLedger('postgres')
  const metadata = { note: '=1+1', quote: 'a "b", c' }
  await ledger.send(
    ...Array.from({ length: 1200 }, (_, n) =>
      event('zone-e', { request_id: `req-${n}`, metadata_json: metadata }),
    ),
  )
  // Only now, so that it is the last one however many ingest.
  await ledger.waitStored('zone-e', 1200)
  await ledger.send(event('zone-e', { request_id: '=1+1', decision: 'deny' }))
  await ledger.waitStored('zone-e', 1201)
})
afterAll(() => ledger?.[Symbol.asyncDispose]())

it('exports a zone as NDJSON, every event once and in chain order', async () => {
  expect((await ledger.get('/api/audit/export?zone_id=zone-e', null)).status).toBe(401)
  expect((await ledger.get('/api/audit/export')).status).toBe(400)
  expect((await ledger.get('/api/audit/export?zone_id=zone-e&format=xml')).status).toBe(400)
  const answer = await ledger.get('/api/audit/export?zone_id=zone-e')
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit-zone-e.ndjson"')
  const lines = (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { chain_seq: number })
  expect(lines.map((line) => line.chain_seq)).toEqual(Array.from({ length: 1201 }, (_, n) => n + 1))
  expect(lines[0]).toMatchObject({ zone_id: 'zone-e', prev_content_sha256: null })
})

it('exports CSV no spreadsheet runs', async () => {
  const answer = await ledger.get('/api/audit/export?zone_id=zone-e&format=csv')
  const lines = (await answer.text()).split('\r\n')
  expect(lines).toHaveLength(1203)
  expect(lines[0]).toMatch(/^chain_seq,id,occurred_at,/)
  expect(lines[1]).toContain('"{""note"": ""=1+1""')
  expect(lines[1201]).toContain(",'=1+1,")
})

it('follows a zone and resumes after the last event seen', async () => {
  expect((await ledger.get('/api/audit/tail?zone_id=zone-t', null)).status).toBe(401)
  await ledger.send(...Array.from({ length: 3 }, () => event('zone-t')))
  await ledger.waitStored('zone-t', 3)
  const follow = async (headers: Record<string, string>, count: number) => {
    const leave = new AbortController()
    const answer = await ledger.app.request('/api/audit/tail?zone_id=zone-t', {
      headers: { authorization: `Bearer ${operatorToken}`, ...headers },
      signal: leave.signal,
    })
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/)
    let text = ''
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    while ([...text.matchAll(/^id: (\d+)$/gm)].length < count) {
      const { done, value } = await reader.read()
      if (done) break
      text += new TextDecoder().decode(value)
      if (text.includes(': following') && !text.includes('id:') && headers['last-event-id'] === undefined) {
        await ledger.send(event('zone-t'))
      }
    }
    await reader.cancel()
    return [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))
  }
  expect(await follow({ 'last-event-id': '1' }, 2)).toEqual([2, 3])
  expect(await follow({}, 1)).toEqual([4])
  expect(
    (
      await ledger.app.request('/api/audit/tail?zone_id=zone-t', {
        headers: { authorization: `Bearer ${operatorToken}`, 'last-event-id': 'x' },
      })
    ).status,
  ).toBe(400)
})
