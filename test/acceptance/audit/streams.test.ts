/** Export and tail of a zone over HTTP. */
import { afterAll, beforeAll, expect } from 'vitest'
import { seam } from '../../fixtures/seam.ts'
import { event, openScene, type Replica, type Scene } from './scene.ts'

let scene: Scene
let replica: Replica
beforeAll(async () => {
  scene = await openScene('postgres')
  replica = await scene.replica()
  const metadata = { note: '=1+1', quote: 'a "b", c' }
  await scene.send(
    ...Array.from({ length: 1200 }, (_, n) =>
      event('zone-e', { request_id: `req-${n}`, metadata_json: metadata }),
    ),
  )
  await scene.send(event('zone-e', { request_id: '=1+1', decision: 'deny' }))
  await scene.waitStored('zone-e', 1201)
})
afterAll(() => scene?.[Symbol.asyncDispose]())

seam('ingests by its own hand')('exports a zone as NDJSON, every event once and in chain order', async () => {
  expect((await replica.get('/api/audit/export?zone_id=zone-e', null)).status).toBe(401)
  expect((await replica.get('/api/audit/export')).status).toBe(400)
  expect((await replica.get('/api/audit/export?zone_id=zone-e&format=xml')).status).toBe(400)
  const answer = await replica.get('/api/audit/export?zone_id=zone-e')
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit-zone-e.ndjson"')
  const lines = (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { chain_seq: number })
  expect(lines.map((line) => line.chain_seq)).toEqual(Array.from({ length: 1201 }, (_, n) => n + 1))
  expect(lines[0]).toMatchObject({ zone_id: 'zone-e', prev_content_sha256: null })
})

seam('ingests by its own hand')('exports CSV no spreadsheet runs', async () => {
  const answer = await replica.get('/api/audit/export?zone_id=zone-e&format=csv')
  const lines = (await answer.text()).split('\r\n')
  expect(lines).toHaveLength(1203)
  expect(lines[0]).toMatch(/^chain_seq,id,occurred_at,/)
  expect(lines[1]).toContain('"{""note"":""=1+1""')
  expect(lines[1201]).toContain(",'=1+1,")
})

seam('ingests by its own hand')('follows a zone and resumes after the last event seen', async () => {
  expect((await replica.get('/api/audit/tail?zone_id=zone-t', null)).status).toBe(401)
  await scene.send(...Array.from({ length: 3 }, () => event('zone-t')))
  await scene.waitStored('zone-t', 3)
  const follow = async (headers: Record<string, string>, count: number) => {
    const leave = new AbortController()
    const answer = await replica.role.app.request('/api/audit/tail?zone_id=zone-t', {
      headers: { authorization: 'Bearer t', ...headers },
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
        await scene.send(event('zone-t'))
      }
    }
    await reader.cancel()
    return [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))
  }
  expect(await follow({ 'last-event-id': '1' }, 2)).toEqual([2, 3])
  expect(await follow({}, 1)).toEqual([4])
  expect(
    (
      await replica.role.app.request('/api/audit/tail?zone_id=zone-t', {
        headers: { authorization: 'Bearer t', 'last-event-id': 'x' },
      })
    ).status,
  ).toBe(400)
})
