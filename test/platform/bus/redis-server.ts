/**
 * A Redis for the contract suites: the server at TEST_REDIS_URL, else a double
 * that speaks the protocol in this process. A server of one's own binary can be
 * started where the loss of its memory is the point.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRedisMock } from 'js-redis-server'
import { createClient } from 'redis'
import { eventually } from '../../fixtures/eventually.ts'

export interface RedisServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Path of the URL behind host and port: the database. */
  readonly path: string
  flush(): Promise<void>
}

export function testRedisUrl(): string | undefined {
  return process.env.TEST_REDIS_URL || undefined
}

/** An empty Redis for one caller: a logical database of the environment's server, or a double. */
export async function openRedisServer(): Promise<RedisServer> {
  const url = testRedisUrl()
  if (url === undefined) {
    const double = await createRedisMock()
    return serverAt(double.host, double.port, '', () => double.close())
  }
  const { hostname, port, pathname } = new URL(url)
  const address = [hostname, Number(port || 6379)] as const
  // A URL that names its database means that one.
  if (!/^\/?$/.test(pathname)) return serverAt(...address, pathname, async () => undefined)
  const lease = await leaseDatabase(`redis://${hostname}:${address[1]}`)
  return serverAt(...address, `/${lease.database}`, lease.release)
}

const databases = 16
/** Longer than any file takes; a run that was killed gives its databases back by itself. */
const leaseSeconds = 300

/**
 * Test files that run beside each other must not read each other's streams. Database 0 holds
 * who has which of the others.
 */
async function leaseDatabase(
  url: string,
): Promise<{ readonly database: number; readonly release: () => Promise<void> }> {
  const owner = randomUUID()
  const key = (database: number): string => `caracal-test:database:${database}`
  let leased: number | null = null
  await eventually(
    async () => {
      for (let database = 1; database < databases && leased === null; database += 1) {
        const set = ['SET', key(database), owner, 'NX', 'EX', String(leaseSeconds)]
        if ((await command(url, set)) === 'OK') leased = database
      }
      return leased !== null
    },
    { what: 'a free Redis database', timeoutMs: 60_000 },
  )
  const database = Number(leased)
  await command(`${url}/${database}`, ['FLUSHDB'])
  return {
    database,
    async release() {
      await command(`${url}/${database}`, ['FLUSHDB'])
      await command(url, ['DEL', key(database)])
    },
  }
}

function serverAt(host: string, port: number, path: string, stop: () => Promise<unknown>): RedisServer {
  return {
    host,
    port,
    path,
    flush: async () => {
      await command(`redis://${host}:${port}${path}`, ['FLUSHDB'])
    },
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

async function command(url: string, args: string[]): Promise<unknown> {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await client.sendCommand(args)
  } finally {
    client.destroy()
  }
}

/** Answers whatever it is asked with this error. */
export async function openRefusingRedis(
  refusal: string,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write(`-${refusal}\r\n`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface OwnRedis extends RedisServer {
  /** Kills the server and starts it again on the same port. */
  restart(): Promise<void>
}

export function redisBinary(): string | undefined {
  return process.env.TEST_REDIS_SERVER || undefined
}

/** Starts the binary of TEST_REDIS_SERVER on a port of its own. */
export async function startRedis(options: { readonly appendOnly: boolean }): Promise<OwnRedis> {
  const binary = redisBinary()
  if (binary === undefined) throw new Error('TEST_REDIS_SERVER names no binary')
  const directory = mkdtempSync(join(tmpdir(), 'caracal-redis-'))
  const port = await freePort()
  let child: ChildProcess
  const start = async (): Promise<void> => {
    child = spawn(
      binary,
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--dir',
        directory,
        '--appendonly',
        options.appendOnly ? 'yes' : 'no',
      ],
      { stdio: 'ignore' },
    )
    await eventually(
      () =>
        command(`redis://127.0.0.1:${port}`, ['PING']).then(
          () => true,
          () => false,
        ),
      { what: 'redis answers' },
    )
  }
  const kill = (): Promise<void> =>
    new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGKILL')
    })
  await start()
  return {
    ...serverAt('127.0.0.1', port, '', async () => {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    }),
    async restart() {
      await kill()
      await start()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
