/** audit-and-events §21, checks 13 and 15–19: append-only storage and the operator surface over HTTP. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { seams } from '../../fixtures/seam.ts'
import { deadLetterStream, event, openScene, type Replica, type Scene, signed, stream } from './scene.ts'

seams('holds the jobs and the limits of one audit process').each(['redis', 'postgres'] as const)(
  'the audit role on %s',
  (driver) => {
    let scene: Scene
    let replica: Replica
    beforeAll(async () => {
      scene = await openScene(driver)
      replica = await scene.replica()
      await scene.send(...Array.from({ length: 30 }, () => event('zone-a')))
      await scene.send(event('zone-a', { decision: 'deny', request_id: 'req-2', metadata_json: { a: 1 } }))
      await scene.waitStored('zone-a', 31)
    })
    afterAll(() => scene?.[Symbol.asyncDispose]())

    const json = async (path: string) => {
      const answer = await replica.get(path)
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    }

    it('13 nobody changes evidence: parent, monthly partition, default partition', async () => {
      const partitions = await scene.database.admin<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_events'::regclass`
      for (const table of ['audit_events', ...partitions.map((row) => row.name)]) {
        for (const statement of [
          `update ${table} set decision = 'x'`,
          `delete from ${table}`,
          `truncate ${table}`,
        ]) {
          await expect(scene.database.db.sql.unsafe(statement)).rejects.toMatchObject({ code: '42501' })
        }
      }
      expect(await scene.stored('zone-a')).toBe(31)
    })

    it('15 without a token the operator routes are hidden', async () => {
      await using hidden = await scene.replica({ settings: { AUDIT_ADMIN_TOKEN: null }, started: false })
      expect((await hidden.get('/api/audit/search?zone_id=zone-a')).status).toBe(404)
      expect((await hidden.get('/api/audit/dlq', null)).status).toBe(404)
    })

    it('16–17, 19 dead letters are listed, inspected, replayed once, and make the role unready past the limit', async () => {
      const one = JSON.stringify(event('zone-replayed'))
      const frame = signed(one)
      const published = await scene.bus.publish([
        {
          stream: deadLetterStream,
          fields: {
            reason: 'pg_permanent_error:once',
            src_data: one,
            src_sig: frame.sig as string,
            received_at: '1',
          },
        },
        {
          stream: deadLetterStream,
          fields: { reason: 'hmac_verify_failed', src_data: one, received_at: '9'.repeat(20) },
        },
      ])
      const ids = published.map((outcome) => (outcome.ok ? outcome.id : ''))

      await using strict = await scene.replica({
        settings: { AUDIT_READY_DLQ_MAX: 1, AUDIT_CONSUMER_NAME: 'strict' },
      })
      await eventually(async () => (await strict.get('/ready', null)).status === 200)
      await strict.run('audit_lag_poll')
      const unready = await strict.get('/ready', null)
      expect([unready.status, await unready.json()]).toEqual([
        503,
        { ok: false, ready: false, reason: 'audit_dlq_threshold' },
      ])

      const list = await json('/api/audit/dlq?limit=1')
      expect(list.body.next_cursor).toBe(ids[0])
      expect(list.body.entries).toMatchObject([
        { id: ids[0], replayable: true, zone_id: 'zone-replayed', received_at: '1970-01-01T00:00:00.001Z' },
      ])
      const rest = await json(`/api/audit/dlq?start=(${ids[0]}`)
      const [{ age_seconds: age, ...second }] = rest.body.entries as [Record<string, unknown>]
      expect(second).toMatchObject({ id: ids[1], replayable: false, reason: 'hmac_verify_failed' })
      expect(second).not.toHaveProperty('received_at')
      await eventually(async () => {
        const { body } = await json(`/api/audit/dlq/${ids[1]}`)
        // Only an id of Redis tells the time.
        return driver === 'redis' ? Number(body.age_seconds) >= 1 : age === 0
      })
      await strict.run('audit_lag_poll')
      const observed = (await (await strict.get('/metrics.json', 'm')).json()) as Record<string, number>
      if (driver === 'redis') {
        expect(observed.dlq_oldest_age_secs).toBeGreaterThanOrEqual(1)
        expect(observed.dlq_oldest_age_secs).toBeLessThan(3600)
      }
      expect(await json(`/api/audit/dlq/${ids[1]}`)).toMatchObject({
        status: 200,
        body: { id: ids[1], source_event: JSON.parse(one), fields: { reason: 'hmac_verify_failed' } },
      })
      expect((await json('/api/audit/dlq/0-1')).status).toBe(404)
      expect((await json('/api/audit/dlq/zero')).status).toBe(400)
      expect((await json('/api/audit/dlq?limit=0')).status).toBe(400)
      expect((await json('/api/audit/dlq?limit=12345678901234567890')).status).toBe(200)
      const [most, more] = ['18446744073709551615', '18446744073709551616']
      for (const id of [`${more}-1`, `${most}-${more}`, `1-${'9'.repeat(20)}`]) {
        expect((await json(`/api/audit/dlq/${id}`)).status).toBe(400)
        expect((await json(`/api/audit/dlq?start=${id}`)).status).toBe(400)
        expect((await json(`/api/audit/dlq?start=(${id}`)).status).toBe(400)
      }
      expect((await json(`/api/audit/dlq?start=${more}`)).status).toBe(400)
      expect((await json(`/api/audit/dlq/${most}-${most}`)).status).toBe(404)
      for (const id of [most, `${most}-${most}`, `(1-${most}`])
        expect((await json(`/api/audit/dlq?start=${id}`)).status).toBe(200)

      const replay = (query: string) =>
        replica.role.app.request(`/api/audit/dlq/replay${query}`, {
          method: 'POST',
          headers: { authorization: 'Bearer t' },
        })
      expect((await replay('?limit=0')).status).toBe(400)
      const done = await replay('')
      expect([done.status, await done.json()]).toEqual([200, { scanned: 2, replayed: 1, skipped: 1 }])
      await scene.waitStored('zone-replayed', 1)
      expect((await scene.deadLetters()).map((letter) => letter.id)).toEqual([ids[1]])
    })

    it('18 metrics need the bearer, as text and as JSON', async () => {
      expect((await replica.get('/metrics', null)).status).toBe(401)
      expect((await replica.get('/metrics.json', null)).status).toBe(401)
      const text = await (await replica.get('/metrics', 'm')).text()
      expect(text).toMatch(/^caracal_audit_inserts_total \d+$/m)
      const body = (await (await replica.get('/metrics.json', 'm')).json()) as Record<string, unknown>
      expect(body.inserts_total).toBeGreaterThan(0)
      expect(body).toHaveProperty('consumer_pel_oldest_secs')
      expect(body).toHaveProperty('dlq_oldest_age_secs')
    })

    it('the stream is trimmed below what was acknowledged, and never above', async () => {
      const long = await scene.replica({
        settings: { AUDIT_STREAM_MAXLEN: 10, AUDIT_CONSUMER_NAME: 'trimmer' },
        started: false,
      })
      await eventually(async () => (await scene.pending()) === 0)
      await replica[Symbol.asyncDispose]()
      const group = scene.bus.group(stream, 'audit-ingestor')
      await scene.send(...Array.from({ length: 5 }, () => event('zone-trim')))
      const [held] = await group.read({
        consumer: 'slow',
        count: 1,
        blockMs: 2000,
        signal: new AbortController().signal,
      })
      await long.run('audit_stream_trim')
      const left = await scene.bus.range(stream, '-', 100)
      expect(held).toBeDefined()
      expect(left).toHaveLength(5)
      expect(left[0]?.id).toBe((await group.stats()).oldestPendingId)
    })
  },
)
