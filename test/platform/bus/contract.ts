/**
 * What every driver of the bus port must do (storage-and-operations §7.5). The
 * same suite runs against Postgres, a Redis server and its double.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bus, GroupLost, type StreamEntry } from '../../../src/platform/bus/port.ts'
import { compareIds } from '../../../src/platform/bus/position.ts'
import { eventually } from '../../fixtures/eventually.ts'

/** One store; every `open` is a process of its own on it. */
export interface BusStore extends AsyncDisposable {
  open(): Promise<Bus>
  /** Drops all connections; new ones are welcome. */
  drop(): void
  /** Makes the store unreachable, until `restore`. */
  cut(): Promise<void>
  restore(): Promise<void>
  /** Runs what the driver does periodically to keep streams at their length. */
  maintain(): Promise<void>
  /** Destroys streams and groups behind the driver's back. */
  wipe(): Promise<void>
}

const forever = new AbortController().signal

export function busContract(name: string, createStore: () => Promise<BusStore>): void {
  describe(`bus on ${name}`, () => {
    let store: BusStore
    let bus: Bus
    let other: Bus
    const stream = (): string => `test.${randomUUID()}`

    beforeAll(async () => {
      store = await createStore()
      bus = await store.open()
      other = await store.open()
    })

    afterAll(async () => {
      await bus?.[Symbol.asyncDispose]()
      await other?.[Symbol.asyncDispose]()
      await store?.[Symbol.asyncDispose]()
    })

    const publish = async (target: Bus, to: string, values: readonly number[], maxLength?: number) => {
      const results = await target.publish(
        values.map((n) => ({ stream: to, fields: { n: String(n) }, ...(maxLength && { maxLength }) })),
      )
      return results.map((result) => {
        if (!result.ok) throw new Error(result.message)
        return result.id
      })
    }
    const numbers = (entries: readonly StreamEntry[]): number[] =>
      entries.map((entry) => Number(entry.fields.n))
    const count = (n: number): number[] => Array.from({ length: n }, (_, index) => index)

    test('a batch is answered in order and read back in order, fields verbatim', async () => {
      const s = stream()
      const results = await bus.publish([
        { stream: s, fields: { a: '', b: 'ü "quoted" \\ \n {json:1}' } },
        { stream: s, fields: { n: '1' } },
      ])
      expect(results.every((result) => result.ok)).toBe(true)
      const entries = await bus.range(s, '-', 10)
      expect(entries.map((entry) => entry.fields)).toEqual([
        { a: '', b: 'ü "quoted" \\ \n {json:1}' },
        { n: '1' },
      ])
      expect(entries.map((entry) => entry.id)).toEqual(results.map((result) => result.ok && result.id))
      expect(entries.every((entry) => entry.stream === s && /^\d+-\d+$/.test(entry.id))).toBe(true)
      expect(await bus.length(s)).toBe(2)
    })

    test('a call of many entries keeps their order, whatever else is published meanwhile', async () => {
      const s = stream()
      const noise = stream()
      const [ids] = await Promise.all([
        publish(bus, s, count(1300)),
        ...count(10).map((n) => publish(bus, noise, count(20 + n))),
      ])
      expect(numbers(await bus.range(s, '-', 2000))).toEqual(count(1300))
      expect([...(ids ?? [])].sort(compareIds)).toEqual(ids)
      const calls = await Promise.all(count(8).map(() => publish(bus, noise, count(90))))
      for (const one of calls) expect([...one].sort(compareIds)).toEqual(one)
      expect(await bus.publish([])).toEqual([])
    })

    test('groups are listed and forgotten, with what was pending in them', async () => {
      const s = stream()
      expect(await bus.groups(s)).toEqual([])
      await bus.group(s, 'gone').destroy()
      const one = bus.group(s, 'one')
      await one.ensure('start')
      await other.group(s, 'two').ensure('start')
      await publish(bus, s, count(3))
      await bus.trim(s, { maxLength: 2 })
      expect(await other.groups(s)).toEqual(['one', 'two'])
      const read = { consumer: 'c', count: 10, blockMs: 2000, signal: forever }
      expect(numbers(await one.read(read))).toEqual([1, 2])
      await other.group(s, 'one').destroy()
      await other.group(s, 'one').destroy()
      expect(await bus.groups(s)).toEqual(['two'])
      await expect(one.stats()).rejects.toThrow(GroupLost)
      await one.ensure('start')
      expect(await one.stats()).toMatchObject({ pending: 0 })
      expect(numbers(await one.read(read))).toEqual([1, 2])
    })

    test('consumers that hold nothing are forgotten, one that holds something is not', async () => {
      const s = stream()
      const g = bus.group(s, 'g')
      await g.ensure('start')
      await publish(bus, s, count(2))
      const read = { count: 1, blockMs: 2000, signal: forever }
      const [first] = await g.read({ ...read, consumer: 'done' })
      await g.ack([first?.id ?? ''])
      await g.read({ ...read, consumer: 'busy' })
      expect(await g.forgetConsumers(60_000)).toBe(0)
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await g.forgetConsumers(10)).toBe(bus.driver === 'redis' ? 1 : 0)
      expect(await g.forgetConsumers(10)).toBe(0)
      expect((await g.stats()).pending).toBe(1)
      expect(await g.reclaim({ consumer: 'other', minIdleMs: 0, count: 10 })).toHaveLength(1)
    })

    test('ids rise, and a range starts inclusively or behind its start', async () => {
      const s = stream()
      const ids = await publish(bus, s, count(5))
      expect([...ids].sort(compareIds)).toEqual(ids)
      expect(numbers(await bus.range(s, ids[2] as string, 2))).toEqual([2, 3])
      expect(numbers(await bus.range(s, `(${ids[2]}`, 10))).toEqual([3, 4])
      expect(await bus.remove(s, [ids[3] as string])).toBe(1)
      expect(numbers(await bus.range(s, '-', 10))).toEqual([0, 1, 2, 4])
      expect(await bus.remove(s, [ids[3] as string])).toBe(0)
    })

    test('every tail sees every entry, in order, from its position on', async () => {
      const s = stream()
      await publish(bus, s, [-1])
      const seen: number[][] = [[], [], []]
      const tails = await Promise.all([
        bus.tail({
          streams: [s],
          from: 'end',
          onEntries: (e) => void seen[0]?.push(...numbers(e)),
          onGap() {},
        }),
        other.tail({
          streams: [s, stream()],
          from: 'end',
          onEntries: (e) => void seen[1]?.push(...numbers(e)),
          onGap() {},
        }),
        other.tail({
          streams: [s],
          from: 'start',
          onEntries: (e) => void seen[2]?.push(...numbers(e)),
          onGap() {},
        }),
      ])
      await Promise.all(tails.map((tail) => tail.positioned))
      for (let n = 0; n < 1200; n += 400)
        await publish(
          bus,
          s,
          count(400).map((k) => n + k),
        )
      await eventually(() => seen.every((list) => list.length >= 1200), { what: 'all tails caught up' })
      expect(seen[0]).toEqual(count(1200))
      expect(seen[1]).toEqual(count(1200))
      expect(seen[2]).toEqual([-1, ...count(1200)])
      for (const tail of tails) await tail[Symbol.asyncDispose]()
    })

    test('a tail never runs its handler twice at once and survives a handler that fails', async () => {
      const s = stream()
      let running = 0
      let overlapped = false
      const seen: number[] = []
      const tail = await bus.tail({
        streams: [s],
        from: 'end',
        onGap() {},
        async onEntries(entries) {
          running += 1
          overlapped ||= running > 1
          await new Promise((resolve) => setTimeout(resolve, 2))
          running -= 1
          seen.push(...numbers(entries))
          if (seen.includes(3)) throw new Error('handler failed')
        },
      })
      for (const n of count(20)) await publish(other, s, [n])
      await eventually(() => seen.length === 20, { what: 'all handled' })
      expect(seen).toEqual(count(20))
      expect(overlapped).toBe(false)
      await tail[Symbol.asyncDispose]()
    })

    test('16 concurrent writers leave no gap for tails and groups', async () => {
      const s = stream()
      const writers = 16
      const each = 60
      const buses = [bus, other, ...(await Promise.all([store.open(), store.open()]))]
      const tailed: number[] = []
      const tail = await bus.tail({
        streams: [s],
        from: 'end',
        onEntries: (entries) => void tailed.push(...numbers(entries)),
        onGap() {},
      })
      const group = other.group(s, 'workers')
      await group.ensure('end')
      const grouped: number[] = []
      const stop = new AbortController()
      const reading = (async () => {
        while (!stop.signal.aborted) {
          const entries = await group.read({ consumer: 'c1', count: 37, blockMs: 500, signal: stop.signal })
          grouped.push(...numbers(entries))
          await group.ack(entries.map((entry) => entry.id))
        }
      })()
      await Promise.all(
        count(writers).map(async (writer) => {
          for (const n of count(each))
            await publish(buses[writer % buses.length] as Bus, s, [writer * each + n])
        }),
      )
      await eventually(() => tailed.length >= writers * each && grouped.length >= writers * each, {
        what: 'tail and group complete',
      })
      stop.abort()
      await reading
      const all = count(writers * each)
      expect([...tailed].sort((a, b) => a - b)).toEqual(all)
      expect([...grouped].sort((a, b) => a - b)).toEqual(all)
      // Within one writer the order is kept.
      for (const list of [tailed, grouped]) {
        for (const writer of count(writers)) {
          const own = list.filter((n) => Math.floor(n / each) === writer)
          expect(own).toEqual([...own].sort((a, b) => a - b))
        }
      }
      await tail[Symbol.asyncDispose]()
      for (const extra of buses.slice(2)) await extra[Symbol.asyncDispose]()
    })

    test('a group hands each entry to one consumer and forgets it when it is acknowledged', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await group.ensure('start')
      await group.ensure('start')
      await publish(bus, s, count(10))
      const read = (consumer: string, of = group) =>
        of.read({ consumer, count: 6, blockMs: 1000, signal: forever })
      const a = await read('a')
      const b = await read('b', other.group(s, 'g'))
      expect(numbers([...a, ...b]).sort((x, y) => x - y)).toEqual(count(10))
      expect(a.every((entry) => entry.deliveries === 1)).toBe(true)
      expect(await group.stats()).toMatchObject({ pending: 10, undelivered: 0 })
      await group.ack(a.map((entry) => entry.id))
      const stats = await group.stats()
      expect(stats.pending).toBe(4)
      expect(stats.oldestPendingId).toBe(b[0]?.id)
      expect(stats.lastDeliveredId).toBe(b.at(-1)?.id)
      await group.ack(b.map((entry) => entry.id))
      expect(await group.stats()).toMatchObject({
        pending: 0,
        undelivered: 0,
        oldestPendingMs: 0,
        oldestPendingId: null,
      })
    })

    test('a group from the end does not see what was there; one from the start does', async () => {
      const s = stream()
      await publish(bus, s, [1, 2])
      const late = bus.group(s, 'late')
      const early = bus.group(s, 'early')
      await late.ensure('end')
      await early.ensure('start')
      await publish(bus, s, [3])
      expect(numbers(await late.read({ consumer: 'c', count: 10, blockMs: 2000, signal: forever }))).toEqual([
        3,
      ])
      const seen: number[] = []
      while (seen.length < 3) {
        seen.push(...numbers(await early.read({ consumer: 'c', count: 10, blockMs: 2000, signal: forever })))
      }
      expect(seen).toEqual([1, 2, 3])
    })

    test('a waiting read wakes on publish, ends empty on time-out and on abort', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await group.ensure('end')
      // A look once a second would find it too: the fastest of a few has to be faster than that.
      let fastest = Number.POSITIVE_INFINITY
      for (let round = 0; round < 5 && fastest >= 400; round += 1) {
        const waiting = group.read({ consumer: 'c', count: 1, blockMs: 5000, signal: forever })
        const started = performance.now()
        await publish(other, s, [7])
        expect(numbers(await waiting)).toEqual([7])
        fastest = Math.min(fastest, performance.now() - started)
      }
      expect(fastest).toBeLessThan(400)
      expect(await group.read({ consumer: 'c', count: 1, blockMs: 50, signal: forever })).toEqual([])
      const abort = new AbortController()
      const aborted = group.read({ consumer: 'c', count: 1, blockMs: 10_000, signal: abort.signal })
      setTimeout(() => abort.abort(), 50)
      expect(await aborted).toEqual([])
      await publish(bus, s, [8])
      const next = await group.read({ consumer: 'c', count: 1, blockMs: 2000, signal: forever })
      // The store may have handed it to the read that was given up: then it is pending, never lost.
      const pending = await group.reclaim({ consumer: 'c', from: 'c', minIdleMs: 0, count: 10 })
      expect(numbers([...next, ...pending])).toContain(8)
    })

    test('what a consumer did not acknowledge is taken over with its delivery count', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await group.ensure('start')
      await publish(bus, s, count(3))
      await group.read({ consumer: 'crashed', count: 10, blockMs: 1000, signal: forever })
      const heir = other.group(s, 'g')
      expect(await heir.reclaim({ consumer: 'heir', minIdleMs: 30_000, count: 10 })).toEqual([])
      expect(await heir.holders()).toEqual(['crashed'])
      expect(await heir.reclaim({ consumer: 'heir', from: 'nobody', minIdleMs: 0, count: 10 })).toEqual([])
      let taken = await heir.reclaim({ consumer: 'heir', minIdleMs: 20, count: 10 })
      await eventually(
        async () => {
          taken =
            taken.length > 0 ? taken : await heir.reclaim({ consumer: 'heir', minIdleMs: 20, count: 10 })
          return taken.length > 0
        },
        { what: 'idle long enough' },
      )
      expect(numbers(taken)).toEqual(count(3))
      expect(taken.map((entry) => entry.deliveries)).toEqual([2, 2, 2])
      expect(await heir.reclaim({ consumer: 'crashed', from: 'crashed', minIdleMs: 0, count: 10 })).toEqual(
        [],
      )
      const own = await heir.reclaim({ consumer: 'heir', from: 'heir', minIdleMs: 0, count: 2 })
      expect(numbers(own)).toEqual([0, 1])
      expect(own[0]?.deliveries).toBe(3)
      await heir.ack(taken.map((entry) => entry.id))
      expect((await heir.stats()).pending).toBe(0)
    })

    test('reclaim pages over more entries than one call may take', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await group.ensure('start')
      await publish(bus, s, count(60))
      const first = await group.read({ consumer: 'a', count: 60, blockMs: 1000, signal: forever })
      expect(first.length).toBe(60)
      const seen = new Set<number>()
      await eventually(
        async () => {
          for (const entry of await group.reclaim({ consumer: 'b', minIdleMs: 300, count: 25 })) {
            seen.add(Number(entry.fields.n))
          }
          return seen.size === 60
        },
        { what: 'all taken over' },
      )
    })

    test('a stream is kept near its length, and trimmed below an id', async () => {
      const s = stream()
      for (let n = 0; n < 1200; n += 300)
        await publish(
          bus,
          s,
          count(300).map((k) => n + k),
          200,
        )
      await store.maintain()
      const length = await bus.length(s)
      expect(length).toBeGreaterThanOrEqual(200)
      expect(length).toBeLessThanOrEqual(400)
      const kept = await bus.range(s, '-', 1000)
      expect(numbers(kept).at(-1)).toBe(1199)
      await bus.trim(s, { maxLength: 100 })
      expect(await bus.length(s)).toBe(100)
      const rest = await bus.range(s, '-', 1000)
      await bus.trim(s, { minId: rest[60]?.id as string })
      expect(numbers(await bus.range(s, '-', 1000))).toEqual(numbers(rest.slice(60)))
    })

    test('entries that were trimmed while they were pending are not delivered again', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await group.ensure('start')
      const ids = await publish(bus, s, count(4))
      await group.read({ consumer: 'a', count: 4, blockMs: 1000, signal: forever })
      await bus.remove(s, ids.slice(0, 2))
      const again = await group.reclaim({ consumer: 'a', from: 'a', minIdleMs: 0, count: 10 })
      expect(numbers(again)).toEqual([2, 3])
    })

    test('a lost group is said to be lost, and works again after it was ensured', async () => {
      const s = stream()
      const group = bus.group(s, 'g')
      await expect(group.read({ consumer: 'c', count: 1, blockMs: 10, signal: forever })).rejects.toThrow(
        GroupLost,
      )
      await group.ensure('start')
      expect(await group.read({ consumer: 'c', count: 1, blockMs: 10, signal: forever })).toEqual([])
      await store.wipe()
      await expect(
        (async () => {
          for (const _ of count(100))
            await group.read({ consumer: 'c', count: 1, blockMs: 100, signal: forever })
        })(),
      ).rejects.toThrow(GroupLost)
      await expect(group.reclaim({ consumer: 'c', minIdleMs: 0, count: 1 })).rejects.toThrow(GroupLost)
      await group.ensure('start')
      await publish(bus, s, [1])
      expect(numbers(await group.read({ consumer: 'c', count: 1, blockMs: 2000, signal: forever }))).toEqual([
        1,
      ])
    })

    test('readers resume after their connections were dropped', async () => {
      const s = stream()
      const tailed = new Set<number>()
      const tail = await bus.tail({
        streams: [s],
        from: 'end',
        onEntries: (entries) => {
          for (const n of numbers(entries)) tailed.add(n)
        },
        onGap() {},
      })
      const group = bus.group(s, 'g')
      await group.ensure('end')
      const grouped = new Set<number>()
      const stop = new AbortController()
      const reading = (async () => {
        // An answer that was lost with its connection may have handed entries out: they are asked for
        // until somebody answers.
        let unsure = false
        while (!stop.signal.aborted) {
          try {
            const entries = unsure
              ? await group.reclaim({ consumer: 'c', from: 'c', minIdleMs: 0, count: 100 })
              : await group.read({ consumer: 'c', count: 10, blockMs: 500, signal: stop.signal })
            unsure = false
            for (const n of numbers(entries)) grouped.add(n)
          } catch {
            unsure = true
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
      })()
      const sent = new Set<number>()
      for (const n of count(40)) {
        if (n % 10 === 5) store.drop()
        const [result] = await bus.publish([{ stream: s, fields: { n: String(n) } }])
        if (result?.ok) sent.add(n)
        else
          await eventually(
            async () => (await bus.publish([{ stream: s, fields: { n: String(n) } }]))[0]?.ok === true,
            { what: 'publish works again' },
          )
        sent.add(n)
      }
      await eventually(() => tailed.size === 40, { what: 'the tail saw everything' })
      await eventually(() => grouped.size === 40, { what: 'the group got everything' })
      stop.abort()
      await reading
      await tail[Symbol.asyncDispose]()
    })

    test('an outage answers unavailable at once and heals by itself', async () => {
      const s = stream()
      await publish(bus, s, [0])
      let gaps = 0
      const seen: number[] = []
      const tail = await bus.tail({
        streams: [s],
        from: 'end',
        onEntries: (entries) => void seen.push(...numbers(entries)),
        onGap() {
          gaps += 1
        },
      })
      await store.cut()
      const started = performance.now()
      await eventually(
        async () => {
          const [result] = await bus.publish([{ stream: s, fields: { n: '1' } }])
          expect(result?.ok === false ? result.reason : 'unavailable').toBe('unavailable')
          return result?.ok === false
        },
        { what: 'publish is refused' },
      )
      expect(performance.now() - started).toBeLessThan(9000)
      await expect(bus.ping()).rejects.toThrow('cannot be reached')
      await store.restore()
      await eventually(
        () =>
          bus.ping().then(
            () => true,
            () => false,
          ),
        { what: 'ping answers again', timeoutMs: 15_000 },
      )
      await eventually(async () => (await bus.publish([{ stream: s, fields: { n: '2' } }]))[0]?.ok === true, {
        what: 'publish works again',
      })
      await eventually(() => seen.includes(2), { what: 'the tail resumed', timeoutMs: 15_000 })
      expect(gaps).toBeLessThanOrEqual(2)
      await tail[Symbol.asyncDispose]()
    }, 60_000)
  })
}
