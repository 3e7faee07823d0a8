/** audit-and-events §21, checks 1–12, over the bus; on Redis Streams and on Postgres. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { verifyChain } from '../../../src/roles/audit/index.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seams } from '../../fixtures/seam.ts'
import {
  deadLetterStream,
  event,
  hmac,
  openScene,
  type Replica,
  type Scene,
  signed,
  stream,
} from './scene.ts'

const first =
  '{"id":"0190f3c2-0000-7000-8000-000000000001","zone_id":"zone-1","event_type":"token_exchange","request_id":"req-1","decision":"allow","policy_set_version_id":"psv-1","manifest_sha":"abc","evaluation_status":"complete","determining_policies_json":[{"policy":"p1"}],"diagnostics_json":[],"metadata_json":{"resource":"resource://api","application_id":"app-1"},"occurred_at":"2026-05-21T12:00:00.123456Z"}'
const second =
  '{"id":"0190f3c2-0000-7000-8000-000000000002","zone_id":"zone-1","event_type":"replay_detected","request_id":"req-2","decision":"deny","evaluation_status":"anomaly","determining_policies_json":null,"diagnostics_json":null,"occurred_at":"2026-05-21T12:00:01Z"}'
const firstHash = '09cba2c071d95ec3498407543b2002b363c740720d65daa869968c4af1f5e5bd'

const many = (zone: string, count: number) => Array.from({ length: count }, () => event(zone))

interface Faults {
  ackFails: boolean
  deadLettersFail: boolean
}

/** The same bus, whose acknowledgements or dead letters can be made to fail. */
function faulty(bus: Bus, faults: Faults): Bus {
  return {
    ...bus,
    publish: async (entries) =>
      faults.deadLettersFail && entries.some((entry) => entry.stream === deadLetterStream)
        ? entries.map(() => ({ ok: false, reason: 'rejected', message: 'WRONGTYPE' }))
        : bus.publish(entries),
    group(name, group) {
      const real = bus.group(name, group)
      return {
        ...real,
        ack: (ids) => (faults.ackFails ? Promise.reject(new Error('killed')) : real.ack(ids)),
      }
    },
  }
}

seams('starts, breaks and restarts audit processes').each(['redis', 'postgres'] as const)(
  'ingest on %s',
  (driver) => {
    let scene: Scene
    let bus: Bus
    const faults = { ackFails: false, deadLettersFail: false }
    let replica: Replica
    beforeAll(async () => {
      scene = await openScene(driver)
      await scene.send(event('zone-before'))
      bus = faulty(await scene.openBus(), faults)
      replica = await scene.replica({ bus })
    })
    afterAll(() => scene?.[Symbol.asyncDispose]())

    const lettersOf = async (count: number) =>
      eventually(async () => {
        const found = await scene.deadLetters()
        return found.length >= count ? found : null
      })
    const links = () => scene.database.admin<
      { seq: number; prev: string | null; hash: string; mac: string }[]
    >`
    select chain_seq::int as seq, prev_content_sha256 as prev, content_sha256 as hash, chain_hmac as mac
    from audit_events where zone_id = 'zone-1' order by chain_seq`

    it('11 what was added before any audit process ran is ingested on first start', async () => {
      await scene.waitStored('zone-before', 1)
    })

    it('1 a signed event becomes the first link, and is acknowledged', async () => {
      await scene.send(first)
      await scene.waitStored('zone-1', 1, 2000)
      expect([...(await links())]).toEqual([
        {
          seq: 1,
          prev: null,
          hash: firstHash,
          mac: '783b36ec21cb7e3cda4a7bcb4e418996836534bcb30f7d90458ac3bd2d469db0',
        },
      ])
      await eventually(async () => (await scene.pending()) === 0)
    })

    it('2 the next event links to it', async () => {
      await scene.send(second)
      await scene.waitStored('zone-1', 2)
      expect((await links())[1]).toEqual({
        seq: 2,
        prev: firstHash,
        hash: 'a4b3a6869a08148dd1f97dad57187cdf91fb9e7a43d773ddcb7aaffbb0c511de',
        mac: 'db0893808298bb60e0cf7f8357f1cb3c91b5309ee46edfb0ea3f4e304aa0094b',
      })
    })

    it('3 the same bytes again change nothing', async () => {
      await scene.send(first, event('zone-after'))
      await scene.waitStored('zone-after', 1)
      await eventually(async () => (await scene.pending()) === 0)
      expect(await scene.stored('zone-1')).toBe(2)
      expect(await scene.deadLetters()).toEqual([])
    })

    it('4 the same id with other content is tampering', async () => {
      await scene.send(first.replace('"allow"', '"deny"'))
      const [letter] = await lettersOf(1)
      expect(letter?.fields.reason).toBe('tamper_on_replay')
      const alerts = await scene.database.admin`
      select kind, detail from audit_ingest_alerts where event_id = '0190f3c2-0000-7000-8000-000000000001'`
      expect(alerts).toHaveLength(1)
      expect(alerts[0]?.kind).toBe('content_mismatch_on_replay')
      expect(alerts[0]?.detail).toMatch(new RegExp(`^stored=${firstHash} incoming=[0-9a-f]{64}$`))
      expect(await scene.stored('zone-1')).toBe(2)
      await eventually(async () => (await scene.pending()) === 0)
    })

    it('5 unsigned, foreign, empty, malformed and zoneless entries are dead letters with their reason', async () => {
      const before = (await scene.deadLetters()).length
      const data = JSON.stringify(event('zone-5'))
      const zoneless = JSON.stringify(event(''))
      await scene.add(
        { data },
        { data, sig: signed(`${data} `).sig as string },
        { id: 'no-data' },
        signed('{'),
        signed(zoneless),
      )
      const letters = (await lettersOf(before + 5)).slice(before)
      expect(letters.map((letter) => letter.fields.reason)).toEqual([
        'hmac_verify_failed',
        'hmac_verify_failed',
        'missing_data_field',
        'json_parse_error:not JSON',
        'json_parse_error:zone_id is missing',
      ])
      expect(letters[0]?.fields).toMatchObject({ src_data: data, src_id: expect.stringMatching(/^\d+-\d+$/) })
      expect(await scene.stored('zone-5')).toBe(0)
      await eventually(async () => {
        const [kept] = await scene.database.admin<{ n: number }[]>`
        select count(*)::int as n from audit_dead_letters`
        return kept?.n === before + 5
      })
    })

    it('5 what has a member of another type, or a time that never was, is a dead letter that is not replayed', async () => {
      const before = (await scene.deadLetters()).length
      const sound = event('zone-5b')
      const send = (members: object) => scene.send(JSON.stringify({ ...sound, ...members }))
      await send({ event_type: 5 })
      await send({ decision: { allow: true } })
      for (const occurred_at of ['2026-02-30T12:00:00Z', '0001-01-01T00:00:00Z', '9999-01-01T00:00:00Z'])
        await send({ occurred_at })
      const letters = (await lettersOf(before + 5)).slice(before)
      expect(letters.map((letter) => letter.fields.reason)).toEqual([
        'json_parse_error:event_type is not a string',
        'json_parse_error:decision is not a string',
        'json_parse_error:occurred_at is missing or not RFC 3339',
        'json_parse_error:occurred_at is out of range',
        'json_parse_error:occurred_at is out of range',
      ])
      expect(await scene.stored('zone-5b')).toBe(0)
    })

    it('6 U+0000 is taken out, not refused', async () => {
      await scene.send(event('zone-6', { metadata_json: { 'k\u0000': 'v\u0000', deep: [{ '\u0000': 1 }] } }))
      await scene.waitStored('zone-6', 1)
      const [row] = await scene.database.admin`
      select metadata_json from audit_events where zone_id = 'zone-6'`
      expect(row?.metadata_json).toEqual({ k: 'v', deep: [{ '': 1 }] })
    })

    it('half a surrogate pair is replaced, not refused, and the chain verifies', async () => {
      const cut = '😀'.slice(0, 1)
      await scene.send(
        event('zone-surrogate', { request_id: cut, metadata_json: { [`k${cut}`]: `v${cut}`, whole: '😀' } }),
      )
      await scene.waitStored('zone-surrogate', 1)
      const [row] = await scene.database.admin`
      select request_id, metadata_json from audit_events where zone_id = 'zone-surrogate'`
      expect(row).toEqual({ request_id: '\ufffd', metadata_json: { 'k\ufffd': 'v\ufffd', whole: '😀' } })
      expect((await verifyChain(scene.database.db, hmac, 'zone-surrogate')).findings).toEqual([])
    })

    it('7 nanoseconds are truncated, and the chain verifies', async () => {
      await scene.send(event('zone-7', { occurred_at: '2026-05-21T12:00:00.123456789Z' }))
      await scene.waitStored('zone-7', 1)
      const [row] = await scene.database.admin`
      select to_char(occurred_at at time zone 'UTC', 'US') as micros from audit_events where zone_id = 'zone-7'`
      expect(row?.micros).toBe('123456')
      expect((await verifyChain(scene.database.db, hmac, 'zone-7')).findings).toEqual([])
    })

    it('9 while Postgres is away nothing is dead-lettered, and everything is there afterwards', async () => {
      const before = (await scene.deadLetters()).length
      await eventually(async () => (await replica.get('/ready', null)).status === 200)
      await scene.proxy.cut()
      await scene.send(...many('zone-9', 50))
      const unready = await eventually(async () => {
        const answer = await replica.get('/ready', null)
        return answer.status === 503 ? ((await answer.json()) as { reason: string }) : null
      })
      expect(unready.reason).toBe('postgres_unreachable')
      // What a longer outage does is reap again and again.
      for (let round = 0; round < 12; round += 1) await replica.run('audit_reaper').catch(() => undefined)
      await scene.proxy.restore()
      await scene.waitStored('zone-9', 50, 15_000)
      expect((await scene.deadLetters()).length).toBe(before)
      await eventually(async () => (await replica.get('/ready', null)).status === 200)
    })

    it('9b dropped backends lose nothing either', async () => {
      const before = (await scene.deadLetters()).length
      for (let round = 0; round < 5; round += 1) {
        await scene.send(...many('zone-9b', 20))
        scene.proxy.drop()
        await sleep(20)
      }
      await scene.waitStored('zone-9b', 100, 15_000)
      expect((await scene.deadLetters()).length).toBe(before)
      expect((await verifyChain(scene.database.db, hmac, 'zone-9b')).findings).toEqual([])
    })

    it('12 an entry whose dead letter cannot be written stays pending', async () => {
      faults.deadLettersFail = true
      await scene.add({ data: 'unsigned' })
      await scene.send(event('zone-12'))
      await scene.waitStored('zone-12', 1)
      await eventually(async () => (await scene.pending()) === 1)
      await sleep(200)
      expect(await scene.pending()).toBe(1)
      faults.deadLettersFail = false
    })

    it('10 a crash between insert and acknowledgement leaves no duplicate, and the entry is settled', async () => {
      faults.ackFails = true
      await scene.send(event('zone-10'))
      await scene.waitStored('zone-10', 1)
      await replica[Symbol.asyncDispose]()
      expect(await scene.pending()).toBeGreaterThan(0)
      faults.ackFails = false
      replica = await scene.replica({ bus })
      await eventually(async () => (await scene.pending()) === 0)
      expect(await scene.stored('zone-10')).toBe(1)
    })

    it('what a process of this host that is gone had in hand is taken over at start, what a living one has is not', async () => {
      await replica[Symbol.asyncDispose]()
      const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
      await once(child, 'exit')
      const group = scene.bus.group(stream, 'audit-ingestor')
      const hold = (pid: number | undefined) =>
        eventually(async () => {
          // A read that still waits on the connection of the replica may take one.
          await scene.send(event('zone-held'))
          const signal = new AbortController().signal
          const held = await group.read({ consumer: `${hostname()}:${pid}`, count: 1, blockMs: 200, signal })
          return held.length === 1
        })
      await hold(child.pid)
      await hold(process.ppid)
      replica = await scene.replica({ bus })
      await eventually(async () => (await scene.pending()) === 1)
      expect(await group.holders()).toEqual([`${hostname()}:${process.ppid}`])
      await group
        .reclaim({ consumer: 'test', minIdleMs: 0, count: 10 })
        .then((held) => group.ack(held.map(({ id }) => id)))
    })

    it('8 four producers and two replicas make one chain without gap or repeat', async () => {
      // Closed with its connection, as a process would be: a blocked read must not take what comes later.
      await using other = await scene.openBus()
      await using _second = await scene.replica({ settings: { AUDIT_CONSUMER_NAME: 'second' }, bus: other })
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          for (const one of many('zone-8', 50)) await scene.send(one)
        }),
      )
      await scene.waitStored('zone-8', 200)
      const rows = await scene.database.admin<{ seq: number }[]>`
      select chain_seq::int as seq from audit_events where zone_id = 'zone-8' order by chain_seq`
      expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
      expect(await verifyChain(scene.database.db, hmac, 'zone-8')).toMatchObject({
        checked: 200,
        findings: [],
      })
    })
  },
)
