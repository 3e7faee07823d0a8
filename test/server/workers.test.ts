/** `caracal serve --workers`: several processes behind the same ports are one server (design §7). */
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readScope, resource } from '../../src/cli/demo/operator.ts'
import { generatedSecrets } from '../../src/config/secrets.ts'
import { type Line, postmastersBelow, runCaracal, startCaracal, workingDirectory } from '../cli/process.ts'
import { eventually } from '../fixtures/eventually.ts'
import { type Scene, setScene } from '../load/scene.ts'
import { createServerProcess, type ServerProcess } from '../load/server-process.ts'
import { allPorts, type Ports } from './store.ts'

// Whole processes start and end here; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

interface Told {
  readonly status: number
  readonly body: string
  readonly requestId: string
}

/** A request on a connection of its own, so that it reaches whichever worker is next. */
function fresh(
  url: string,
  headers: Record<string, string> = {},
  form?: string,
): { readonly sent: ClientRequest; readonly answer: Promise<IncomingMessage> } {
  const sent = request(url, {
    method: form === undefined ? 'GET' : 'POST',
    agent: false,
    signal: AbortSignal.timeout(60_000),
    headers: {
      ...headers,
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
  })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
  answer.catch(() => {})
  sent.end(form)
  return { sent, answer }
}

async function ask(url: string, headers: Record<string, string> = {}, form?: string): Promise<Told> {
  const requestId = randomUUID()
  const response = await fresh(url, { ...headers, 'x-request-id': requestId }, form).answer
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, body, requestId }
}

let ports: Ports
let cwd: string
let server: ServerProcess
let scene: Scene

const log = (): Line[] =>
  readFileSync(join(cwd, 'server.log'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
const logged = (msg: string, after = 0): Promise<Line> =>
  eventually(
    () =>
      log()
        .slice(after)
        .find((line) => line.msg === msg) ?? null,
    {
      timeoutMs: 60_000,
      intervalMs: 50,
    },
  )
/** Pids of the workers that serve now, by place. */
const workers = (): Map<number, number> =>
  new Map(
    log()
      .filter((line) => line.msg === 'worker ready')
      .map((line) => [Number(line.worker), Number(line.pid)]),
  )
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
const at = (role: keyof Ports, path: string): string => `http://127.0.0.1:${ports[role]}${path}`

const mint = async (actor = 0): Promise<string> => {
  const told = await ask(at('sts', '/oauth/2/token'), {}, scene.actors[actor]?.mintBody ?? '')
  expect(told.status, told.body).toBe(200)
  return (JSON.parse(told.body) as { access_token: string }).access_token
}
const call = (mandate: string): Promise<Told> =>
  ask(at('gateway', '/items'), { authorization: `Bearer ${mandate}`, 'x-caracal-resource': resource })

describe('two workers', () => {
  beforeAll(async () => {
    cwd = workingDirectory()
    const all = await allPorts()
    ports = all.ports
    server = createServerProcess({
      name: 'workers',
      args: ['--workers=2'],
      urls: Object.values(ports).map((port) => `http://127.0.0.1:${port}`),
      cwd,
      env: { ...all.env, STS_MINT_RATE_LIMIT_PER_MIN: '100000', READY_RATE_LIMIT_PER_MIN: '0' },
      logFile: join(cwd, 'server.log'),
    })
    server.start()
    await eventually(() => log().length > 0, { timeoutMs: 60_000 })
    await logged('ready')
    scene = await setScene(
      {
        urls: {
          control: at('control', ''),
          coordinator: at('coordinator', ''),
          sts: at('sts', ''),
          gateway: at('gateway', ''),
          audit: at('audit', ''),
        },
        adminToken: readFileSync(
          join(cwd, '.caracal', 'secrets', generatedSecrets.CARACAL_ADMIN_TOKEN.file),
          'utf8',
        ),
      },
      2,
    )
  })
  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]()
    await server?.end('SIGTERM')
  })

  it('tell once that they are ready, and where', () => {
    const told = log()
    expect(told.filter((line) => line.msg === 'ready')).toMatchObject([{ workers: 2, store: 'embedded' }])
    const listening = told.filter((line) => line.msg === 'listening').map((line) => line.port)
    expect(listening.sort()).toEqual(Object.values(ports).sort())
    expect([...workers().keys()].sort()).toEqual([1, 2])
  })

  it('both take calls, and metrics say which took how many', async () => {
    for (let count = 0; count < 6; count += 1) expect((await call(await mint())).status).toBe(200)
    const { body } = await ask(at('gateway', '/metrics'))
    const served = [...body.matchAll(/^caracal_gateway_requests_total\{worker="(\d)"\} (\d+)$/gm)]
    expect(served.map(([, worker]) => worker)).toEqual(['1', '2'])
    for (const [, , count] of served) expect(Number(count)).toBeGreaterThan(0)
    const names = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(new Set(names.map((line) => line.slice(0, line.lastIndexOf(' ')))).size).toBe(names.length)
    expect(names.every((line) => line.includes('worker="'))).toBe(true)
  })

  it('a mandate is spent once, whichever worker it comes to', async () => {
    const mandate = await mint()
    const atOnce = await Promise.all(Array.from({ length: 8 }, () => call(mandate)))
    expect(atOnce.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(401)])
    for (let count = 0; count < 4; count += 1) expect((await call(mandate)).status).toBe(401)
  })

  it('kill -9 of one loses nothing, and another follows it in its place', async () => {
    const [number, pid] = [...workers()][0] ?? [0, 0]
    const before = log().length
    const granted: string[] = []
    let killed = false
    const mandates = await Promise.all(Array.from({ length: 40 }, () => mint()))
    const calling = Promise.all(
      mandates.map(async (mandate, index) => {
        if (index === 10) {
          killed = true
          // Frozen first: a connection is then on its way to it that it never takes.
          process.kill(pid, 'SIGSTOP')
          setTimeout(() => process.kill(pid, 'SIGKILL'), 500)
        }
        // What was on its way through the worker has no answer: that is for its caller to see.
        const told = await call(mandate).catch((error: Error) => {
          expect(error.name).not.toBe('AbortError')
          return null
        })
        if (told?.status === 200) granted.push(told.requestId)
      }),
    )
    await calling
    expect(killed).toBe(true)
    const back = await logged('worker is back', before)
    expect(back).toMatchObject({ worker: number })
    expect(workers().get(number)).not.toBe(pid)
    for (let count = 0; count < 4; count += 1) {
      const told = await call(await mint())
      expect(told.status, told.body).toBe(200)
      granted.push(told.requestId)
    }
    expect(granted.length).toBeGreaterThanOrEqual(4)
    const [postmaster] = postmastersBelow(cwd)
    expect(postmaster).toBeDefined()
    const sql = postgres({
      host: join(cwd, '.caracal', 'sock'),
      user: 'caracal',
      database: 'caracal',
      password: readFileSync(join(cwd, '.caracal', 'secrets', 'postgresPassword'), 'utf8').trim(),
      max: 1,
    })
    try {
      await eventually(
        async () => {
          const rows = await sql<{ request_id: string }[]>`
            select distinct request_id from audit_events
            where event_type = 'gateway_resource_request' and request_id = any(${granted})`
          return rows.length === granted.length
        },
        { timeoutMs: 60_000, intervalMs: 200 },
      )
    } finally {
      await sql.end()
    }
  })

  it('a revocation ends streams and mandates at both', async () => {
    const [actor] = scene.actors
    if (actor === undefined) throw new Error('the scene has no actors')
    const waiting = await Promise.all(Array.from({ length: 4 }, () => mint()))
    const streams = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const headers = { authorization: `Bearer ${await mint()}`, 'x-caracal-resource': resource }
        const response = await fresh(at('gateway', '/items?stream=1'), headers).answer
        expect(response.statusCode).toBe(200)
        response.on('error', () => {})
        response.resume()
        return { ended: new Promise((resolve) => response.once('close', resolve)) }
      }),
    )
    const revoked = await fetch(
      at('coordinator', `/zones/${actor.identity.zoneId}/delegations/${actor.delegation}/revoke`),
      { method: 'PATCH', headers: { authorization: `Bearer ${actor.lifecycle}` } },
    )
    expect(revoked.status).toBe(200)
    // Documented as two seconds; the bound is for a machine that has other things to do.
    const inTime = Promise.race([
      Promise.all(streams.map(({ ended }) => ended)).then(() => true),
      new Promise((resolve) => setTimeout(resolve, 20_000, false)),
    ])
    expect(await inTime).toBe(true)
    for (const mandate of waiting) expect((await call(mandate)).status).toBe(401)
    const told = await ask(at('sts', '/oauth/2/token'), {}, actor.mintBody)
    expect(told.status, told.body).toBe(403)
  })

  it('kill -9 of the primary leaves no worker, and the next start finds everything', async () => {
    const pids = [...workers().values()]
    await server.end('SIGKILL')
    await eventually(() => !pids.some(isAlive), { timeoutMs: 60_000 })
    const before = log().length
    server.start()
    await logged('ready', before)
    const actor = scene.actors[0]
    const session = await actor?.agent.startSession(actor.lifecycle)
    const target = await actor?.agent.startSession(actor.lifecycle)
    if (actor === undefined || session === undefined || target === undefined) throw new Error('no session')
    await actor.agent.delegate(actor.lifecycle, session, target, [readScope])
  })

  it('sdk-cli-console check 46: SIGTERM lets streams come to their end, and leaves nothing', async () => {
    const pids = [...workers().values()]
    expect(pids.every(isAlive)).toBe(true)
    const streams = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const headers = { authorization: `Bearer ${await mint(1)}`, 'x-caracal-resource': resource }
        return fresh(at('gateway', '/items?stream&ticks=20'), headers).answer
      }),
    )
    const whole = streams.map(async (response) => {
      let text = ''
      for await (const chunk of response) text += String(chunk)
      return text
    })
    const before = log().length
    const ended = server.end('SIGTERM')
    await logged('stopping', before)
    await eventually(async () => (await ask(at('gateway', '/ready'))).status === 503)
    const ready = await ask(at('gateway', '/ready'))
    expect([ready.status, JSON.parse(ready.body)]).toMatchObject([503, { draining: true }])
    for (const text of await Promise.all(whole)) expect(text).toBe('data: tick\n\n'.repeat(20))
    expect(await ended).toBe('0')
    expect(pids.some(isAlive)).toBe(false)
    expect(postmastersBelow(cwd)).toEqual([])
    expect(log().at(-1)).toMatchObject({ msg: 'stopped', workers: 2 })
    for (const port of Object.values(ports))
      await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()
  })
})

it('a server whose workers cannot come back ends, and says why', async () => {
  const directory = workingDirectory()
  const { env } = await allPorts()
  const one = startCaracal(['serve', '--workers=2'], { cwd: directory, env })
  await one.line('ready')
  const pids = one.lines().flatMap((line) => (line.msg === 'worker ready' ? [Number(line.pid)] : []))
  writeFileSync(join(directory, '.caracal', 'secrets', generatedSecrets.SECRET_STORE_KEK.file), 'spoiled')
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  const { code, stdout } = await one.finished
  expect(code).toBe(1)
  expect(stdout).toMatch(/workers keep ending: SECRET_STORE_KEK /)
  const ends = one.lines().filter((line) => line.msg === 'worker ended')
  expect(ends.length).toBeGreaterThanOrEqual(5)
  expect(ends.length).toBeLessThanOrEqual(12)
  expect(postmastersBelow(directory)).toEqual([])
})

describe('what cannot start', () => {
  it.each(['0', 'many', '-1', '1.5'])('--workers=%s', async (count) => {
    const { code, stderr } = await runCaracal(['serve', `--workers=${count}`])
    expect(code).toBe(1)
    expect(stderr).toContain('CARACAL_WORKERS must be')
  })

  it('a busy port ends it before anything is touched, a worker that cannot start says why', async () => {
    const { ports: own, env } = await allPorts()
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(own.gateway, '127.0.0.1', resolve))
    const directory = workingDirectory()
    const busy = await runCaracal(['serve', '--workers=2'], { cwd: directory, env })
    await new Promise((resolve) => squatter.close(resolve))
    expect(busy.code).toBe(1)
    expect(busy.stderr).toContain(`port ${own.gateway} of gateway is in use`)
    const broken = await runCaracal(['serve', '--workers=2'], {
      cwd: directory,
      env: { ...env, REDIS_URL: 'redis://127.0.0.1:1', SHUTDOWN_GRACE_MS: '500' },
    })
    expect(broken.code).toBe(1)
    expect(broken.stderr).toContain('REDIS_URL: Redis cannot be used')
    expect(postmastersBelow(directory)).toEqual([])
  })
})
