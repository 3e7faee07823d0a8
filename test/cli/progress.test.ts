import { createServer } from 'node:net'
import { expect, it, vi } from 'vitest'
import { createOutput } from '../../src/cli/output.ts'
import { whileTelling } from '../../src/cli/progress.ts'
import { runCaracal } from './process.ts'

vi.setConfig({ testTimeout: 60_000 })

it('tells after a second and then every ten, on stderr, and no more once it is done', async () => {
  vi.useFakeTimers()
  try {
    const told: string[] = []
    const stream = { write: (text: string) => told.push(text) }
    const out = createOutput({}, { write: () => expect.unreachable() }, stream)
    let count = 0
    let finish: (value: string) => void = () => {}
    const work = whileTelling(
      out,
      () => `${count} so far`,
      () => new Promise<string>((resolve) => (finish = resolve)),
    )
    await vi.advanceTimersByTimeAsync(900)
    expect(told).toEqual([])
    count = 7
    await vi.advanceTimersByTimeAsync(200)
    expect(told).toEqual(['7 so far …\n'])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(told).toHaveLength(2)
    finish('done')
    expect(await work).toBe('done')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told).toHaveLength(2)
  } finally {
    vi.useRealTimers()
  }
})

it('a database that takes its time is waited for aloud', async () => {
  // Takes the connection and never says a word.
  const mute = createServer((socket) => {
    socket.on('error', () => {}).resume()
  })
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const { port } = mute.address() as { port: number }
  const { code, stdout, stderr } = await runCaracal(['migrate', '--json'], {
    env: { DATABASE_URL: `postgres://x@127.0.0.1:${port}/x`, MIGRATION_CONNECT_RETRIES: '0' },
  })
  await new Promise((resolve) => mute.close(resolve))
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('Postgres does not answer yet')
  expect(stderr.trim().split('\n').at(-1)).toContain('cannot be reached')
})
