import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { warnOfEviction } from '../../../src/platform/ephemera/redis-eviction.ts'
import { freePorts } from '../../../src/server/free-ports.ts'
import { eventually } from '../../fixtures/eventually.ts'

const binary = process.env.TEST_REDIS_SERVER

async function warningsUnder(policy: string): Promise<string[]> {
  const [port] = await freePorts(1)
  const server = spawn(binary ?? '', ['--port', String(port), '--save', '', '--maxmemory-policy', policy], {
    stdio: 'ignore',
  })
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) })
  const settings = { REDIS_DIAL_TIMEOUT: 5000, REDIS_READ_TIMEOUT: 3000 }
  try {
    const { connect } = await import('node:net')
    await eventually(async () => {
      const socket = connect(port ?? 0, '127.0.0.1')
      await once(socket, 'connect').finally(() => socket.destroy())
    })
    await warnOfEviction({ url: `redis://127.0.0.1:${port}`, log, settings })
    return lines
  } finally {
    const ended = once(server, 'exit')
    server.kill()
    await ended
  }
}

it.skipIf(binary === undefined)(
  'warns of a Redis that may evict replay markers, and only of that',
  async () => {
    expect(await warningsUnder('noeviction')).toEqual([])
    expect(await warningsUnder('allkeys-lru')).toEqual([expect.stringContaining('noeviction')])
  },
)
