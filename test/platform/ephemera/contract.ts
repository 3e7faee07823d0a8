/** What every driver of the ephemera port must do (storage-and-operations §7.3–§7.5). */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ephemera, EphemeraUnavailable } from '../../../src/platform/ephemera/port.ts'
import { eventually } from '../../fixtures/eventually.ts'

export interface EphemeraStore extends AsyncDisposable {
  /** A process of its own on the store. */
  open(): Promise<Ephemera>
  cut(): Promise<void>
  restore(): Promise<void>
  drop(): void
  /** Every way this store can lose its memory, by name. */
  readonly losses: Readonly<Record<string, () => Promise<void>>>
  /** False where the server does not tell who it is: then every new connection starts a memory of its own. */
  readonly identified: boolean
  /** Unix milliseconds of the clock that judges tokens. */
  now(): Promise<number>
}

const signal = new AbortController().signal

export function ephemeraContract(name: string, createStore: () => Promise<EphemeraStore>): void {
  describe(`ephemera on ${name}`, () => {
    let store: EphemeraStore
    let one: Ephemera
    let two: Ephemera
    const key = (): string => `test:${randomUUID()}`
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

    beforeAll(async () => {
      store = await createStore()
      one = await store.open()
      two = await store.open()
    })

    afterAll(async () => {
      await one?.[Symbol.asyncDispose]()
      await two?.[Symbol.asyncDispose]()
      await store?.[Symbol.asyncDispose]()
    })

    test('set if absent: one winner among many, again after expiry', async () => {
      const k = key()
      const won = await Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 ? one : two).setIfAbsent(k, String(n), 300)),
      )
      expect(won.filter(Boolean)).toHaveLength(1)
      expect(await one.get(k)).toBe(String(won.indexOf(true)))
      await eventually(async () => (await two.get(k)) === null, { what: 'expired' })
      expect(await two.setIfAbsent(k, 'again', 10_000)).toBe(true)
      expect(await one.setIfAbsent(k, 'no', 10_000)).toBe(false)
    })

    test('set, get, take once, delete, delete only the own value', async () => {
      const k = key()
      expect(await one.get(k)).toBeNull()
      await one.set(k, 'a', 10_000)
      await one.set(k, 'b', 10_000)
      expect(await two.get(k)).toBe('b')
      expect(await two.deleteIfEquals(k, 'a')).toBe(false)
      expect(await two.deleteIfEquals(k, 'b')).toBe(true)
      expect(await one.get(k)).toBeNull()
      await one.set(k, 'c', 10_000)
      const taken = await Promise.all([one.take(k), two.take(k), one.take(k)])
      expect(taken.filter((value) => value === 'c')).toHaveLength(1)
      expect(taken.filter((value) => value === null)).toHaveLength(2)
      await one.set(k, 'd', 10_000)
      await two.delete(k)
      expect(await one.get(k)).toBeNull()
      await one.set(k, 'e', 30)
      await pause(60)
      expect(await one.take(k)).toBeNull()
    })

    test('a lease is renewed by its holder only, and not once it has ended', async () => {
      const k = key()
      await one.set(k, 'a', 200)
      expect(await two.extendIfEquals(k, 'b', 10_000)).toBe(false)
      expect(await one.extendIfEquals(k, 'a', 400)).toBe(true)
      await pause(250)
      expect(await two.get(k)).toBe('a')
      await pause(250)
      expect(await one.extendIfEquals(k, 'a', 10_000)).toBe(false)
      expect(await one.get(k)).toBeNull()
    })

    test('counters count every call once and end with their window', async () => {
      const k = key()
      const counts = await Promise.all(
        Array.from({ length: 50 }, (_, n) => (n % 2 ? one : two).increment(k, 800)),
      )
      expect(counts.map((counter) => counter.count).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, n) => n + 1),
      )
      for (const { remainingMs } of counts) {
        expect(remainingMs).toBeGreaterThan(0)
        expect(remainingMs).toBeLessThanOrEqual(800)
      }
      await eventually(async () => (await one.increment(k, 800)).count === 1, { what: 'window over' })
      expect((await two.increment(k, 5_000_000)).count).toBe(2)
    })

    test('a window of the clock counts every call in it once, tells when it ends, and hands nothing on', async () => {
      const windowMs = 3_000
      const k = key()
      const untilNext = () => windowMs - (Date.now() % windowMs)
      await eventually(() => untilNext() > 2_000, { what: 'most of a window is left' })
      const most = untilNext()
      const counts = await Promise.all(
        Array.from({ length: 50 }, (_, n) => (n % 2 ? one : two).countInWindow(k, windowMs)),
      )
      expect(counts.map((counter) => counter.count).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, n) => n + 1),
      )
      const left = untilNext()
      for (const { remainingMs } of counts) {
        expect(remainingMs).toBeGreaterThan(left - 50)
        expect(remainingMs).toBeLessThan(most + 50)
      }
      // Not a window's length after the first call, but when the clock turns.
      await eventually(() => untilNext() > left, { what: 'the clock turns' })
      await eventually(async () => (await one.countInWindow(k, windowMs)).count === 1, {
        what: 'counts anew',
      })
      expect(untilNext()).toBeGreaterThan(500)
      expect((await two.countInWindow(k, windowMs)).count).toBe(2)
      expect((await two.countInWindow(key(), windowMs)).count).toBe(1)
    })

    test('a count is under its key and the number of its window', async () => {
      const k = key()
      const before = Math.floor(Date.now() / 3_600_000)
      await one.countInWindow(k, 3_600_000)
      const named = await Promise.all(
        [before, before + 1].map(async (window) => (await two.increment(`${k}:${window}`, 1_000)).count),
      )
      expect(named.sort()).toEqual([1, 2])
    })

    test('a counter grows by blocks that do not overlap', async () => {
      const k = key()
      const sizes = [3, 1, 5, 2, 4]
      const counts = await Promise.all(sizes.map((by, n) => (n % 2 ? one : two).increment(k, 10_000, by)))
      const used = counts.flatMap(({ count }, n) =>
        Array.from({ length: sizes[n] ?? 0 }, (_, back) => count - back),
      )
      expect(used.sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, n) => n + 1))
    })

    test('a raised decimal never falls, however long it is', async () => {
      const k = key()
      await Promise.all(
        ['9', '10', '8', '9007199254740993', '9007199254740992', '2'].map((decimal, n) =>
          (n % 2 ? one : two).raise(k, decimal, 10_000),
        ),
      )
      expect(await one.get(k)).toBe('9007199254740993')
      await two.raise(k, '9007199254740994', 30)
      expect(await one.get(k)).toBe('9007199254740994')
      await eventually(async () => (await one.get(k)) === null, { what: 'expired' })
      await two.raise(k, '1', 10_000)
      expect(await one.get(k)).toBe('1')
    })

    test('a memory just born is established once and agreed on', async () => {
      await Promise.all([one.replay.establish(signal), two.replay.establish(signal)])
      const now = Math.floor((await store.now()) / 1000)
      expect(await one.replay.remembers(now)).toBe(true)
      expect(await two.replay.remembers(now)).toBe(true)
      expect(await one.replay.remembers(now - 3600)).toBe(false)
      expect(await two.replay.claim(key(), 'r', 10_000, now)).toBe('fresh')
    })

    test('a key is claimed once by all processes together', async () => {
      const k = key()
      const now = Math.floor((await store.now()) / 1000)
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, n) => (n % 2 ? one : two).replay.claim(k, String(n), 10_000, now)),
      )
      expect(outcomes.filter((outcome) => outcome === 'fresh')).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(29)
      expect(await one.replay.claim(k, 'again', 10_000, now)).toBe('replayed')
      expect(await one.replay.claim(key(), 'n', 10_000, null)).toBe('fresh')
    })

    test('a token of the birth second or older is refused, and its key is spent', async () => {
      const now = Math.floor((await store.now()) / 1000)
      const k = key()
      expect(await one.replay.claim(k, 'r', 10_000, now - 86_400)).toBe('predates_memory')
      expect(await one.replay.claim(key(), 'r', 10_000, Number.NaN)).toBe('predates_memory')
      expect(await two.replay.claim(k, 'r', 10_000, now)).toBe('replayed')
    })

    test('a restart of a process refuses no token that was not used', async ({ skip }) => {
      if (!store.identified) skip()
      const issued = Math.floor((await store.now()) / 1000)
      const restarted = await store.open()
      await restarted.replay.establish(signal)
      expect(await restarted.replay.claim(key(), 'r', 10_000, issued)).toBe('fresh')
      await restarted[Symbol.asyncDispose]()
    })

    test('every loss of the memory refuses what was issued before it, used or not', async () => {
      for (const [loss, lose] of Object.entries(store.losses)) {
        const issued = Math.floor((await store.now()) / 1000)
        const used = key()
        expect(await one.replay.claim(used, 'r', 60_000, issued), loss).toBe('fresh')
        await lose()
        const claim = async (of: Ephemera, k: string, issuedAt: number) => {
          let outcome: string | null = null
          await eventually(
            async () => {
              outcome = await of.replay.claim(k, 'r', 60_000, issuedAt).catch((error: unknown) => {
                expect(error, loss).toBeInstanceOf(EphemeraUnavailable)
                return null
              })
              return outcome !== null
            },
            { what: `${loss}: the store answers`, timeoutMs: 20_000 },
          )
          return outcome
        }
        expect(await claim(one, used, issued), loss).toBe('predates_memory')
        expect(await claim(one, key(), issued), loss).toBe('predates_memory')
        expect(await claim(two, key(), issued), loss).toBe('predates_memory')
        const refusedAt = await store.now()
        await eventually(async () => (await store.now()) - refusedAt > 1100, {
          what: `${loss}: a second later`,
        })
        const later = Math.floor((await store.now()) / 1000)
        expect(await claim(one, key(), later), loss).toBe('fresh')
        expect(await claim(two, key(), later), loss).toBe('fresh')
      }
    }, 60_000)

    test('a memory lost unseen is established again by whoever starts next, after its birth second', async () => {
      const lose = Object.values(store.losses)[0]
      await lose?.()
      const restarted = await store.open()
      await restarted.replay.establish(signal)
      // The first call after a start is not refused.
      const now = Math.floor((await store.now()) / 1000)
      expect(await restarted.replay.claim(key(), 'r', 10_000, now)).toBe('fresh')
      expect(await one.replay.claim(key(), 'r', 10_000, now)).toBe('fresh')
      await restarted[Symbol.asyncDispose]()
    })

    test('an outage rejects with EphemeraUnavailable and heals by itself', async () => {
      const k = key()
      const now = Math.floor((await store.now()) / 1000)
      await store.cut()
      const started = performance.now()
      await expect(one.replay.claim(k, 'r', 10_000, now)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.replay.remembers(now)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.setIfAbsent(k, 'a', 1000)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.set(k, 'a', 1000)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.get(k)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.take(k)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.increment(k, 1000)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.countInWindow(k, 1000)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.raise(k, '1', 1000)).rejects.toThrow(EphemeraUnavailable)
      await expect(one.ping()).rejects.toThrow(EphemeraUnavailable)
      expect(performance.now() - started).toBeLessThan(10_000)
      await store.restore()
      await eventually(
        () =>
          one.ping().then(
            () => true,
            () => false,
          ),
        { what: 'answers again', timeoutMs: 15_000 },
      )
      await eventually(
        async () => {
          const issued = Math.floor((await store.now()) / 1000)
          return (await one.replay.claim(key(), 'r', 10_000, issued).catch(() => null)) === 'fresh'
        },
        { what: 'claims a token issued after the outage', timeoutMs: 15_000 },
      )
      // Where the store kept its memory a token from before the outage is as good as ever.
      if (store.identified) expect(await one.replay.claim(key(), 'r', 10_000, now)).toBe('fresh')
    }, 60_000)
  })
}
