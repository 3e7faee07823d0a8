/** A real redis-server of our own that keeps an append-only file, as a deployment would. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface OwnRedis extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  start(): Promise<void>
  end(signal: NodeJS.Signals): Promise<void>
}

/** The binary of `TEST_REDIS_SERVER`, else the one on the path; `null` when there is none. */
export function redisServerBinary(): string | null {
  if (process.env.TEST_REDIS_SERVER) return process.env.TEST_REDIS_SERVER
  try {
    return execFileSync('sh', ['-c', 'command -v redis-server'], { encoding: 'utf8' }).trim() || null
  } catch {
    return null
  }
}

export async function createOwnRedis(directory: string, port: number): Promise<OwnRedis> {
  const binary = redisServerBinary()
  if (binary === null)
    throw new Error('redis-server is not on the path: install it, or set TEST_REDIS_SERVER')
  let child: ChildProcess | null = null
  const redis: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0
    },
    async start() {
      const words = `--port ${port} --bind 127.0.0.1 --save  --appendonly yes --maxmemory-policy noeviction`
      child = spawn(binary, [...words.split(' '), '--dir', directory], { stdio: 'ignore' })
      for (let tries = 0; !(await answersPing(port)); tries += 1) {
        if (tries > 500 || child.exitCode !== null) throw new Error('redis-server does not start')
        await sleep(20)
      }
    },
    async end(signal) {
      const ending = child
      if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      ending.kill(signal)
      await ended
    },
    async [Symbol.asyncDispose]() {
      await redis.end('SIGKILL')
    },
  }
  await redis.start()
  return redis
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(500, () => done(false))
    socket.once('error', () => done(false))
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')))
  })
}
