/** The log of a process whose reader is slow, stands still or is gone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })

const logger = new URL('../../../dist/platform/observe/logger.js', import.meta.url).href

/** 600 lines of 2 kB, more than a pipe and its reader hold, then the end. */
const program = `
import { createLogger } from ${JSON.stringify(logger)}
const { log, close, counters } = createLogger({ level: 'info', env: 'test', version: '', maxFieldBytes: 8192, sampleDebug: 1 })
process.stdin.once('data', async () => {
  for (let i = 0; i < 600; i++) log.info({ i, text: 'x'.repeat(2000) }, 'line')
  log.fatal('last line')
  await close()
  log.info('too late')
  process.stderr.write(JSON.stringify(counters()), () => process.exit(7))
})
process.stderr.write('waiting')
`

async function start() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
  })
  await once(child.stderr, 'data')
  return {
    ...child,
    stdout: child.stdout,
    async end() {
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
      child.stdin.write('go')
      const began = Date.now()
      const [code] = (await once(child, 'exit')) as [number | null]
      return { code, counters: JSON.parse(said) as unknown, tookMs: Date.now() - began }
    },
  }
}

describe('lines on stdout', () => {
  test('all reach a reader that is slow, before the process ends', async () => {
    const { stdout, end } = await start()
    let text = ''
    stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      stdout.pause()
      setTimeout(() => stdout.resume(), 10)
    })
    const all = once(stdout, 'end')
    expect(await end()).toMatchObject({ code: 7, counters: { emitted: 602, dropped: 1 } })
    await all
    const lines = text.trim().split('\n')
    expect(lines).toHaveLength(601)
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg).at(-1)).toBe('last line')
  })

  test('do not hold the process when nobody reads them', async () => {
    const { stdout, end } = await start()
    stdout.pause()
    const { code, tookMs } = await end()
    expect(code).toBe(7)
    expect(tookMs).toBeGreaterThan(1500)
    expect(tookMs).toBeLessThan(10_000)
  })

  test('do not hold the process when their reader is gone', async () => {
    const { stdout, end } = await start()
    stdout.destroy()
    await once(stdout, 'close')
    const { code, tookMs } = await end()
    expect(code).toBe(7)
    expect(tookMs).toBeLessThan(1500)
  })
})
