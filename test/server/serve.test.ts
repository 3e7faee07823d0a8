/** `caracal serve` as operators meet it: storage-and-operations §21, dependencies "Acceptance checks" 1–4. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { postmastersBelow, runCaracal, startCaracal, workingDirectory } from '../cli/process.ts'
import { eventually } from '../fixtures/eventually.ts'
import { certificate, certificateKey } from '../fixtures/tls-server.ts'
import { residentBytesOf } from '../load/server-process.ts'
import { allPorts, type ExternalPostgres, externalPostgres, get, stableEnv } from './store.ts'

// Whole processes start and end here; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

describe('embedded', () => {
  it('checks 8, 8a, 23: everything from an empty directory, loopback only, ready twice in a row', async () => {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const began = Date.now()
    const first = startCaracal(['serve'], { cwd, env })
    const ready = await first.line('ready')
    expect(Date.now() - began).toBeLessThan(30_000)
    expect(ready).toMatchObject({ mode: 'dev', store: 'embedded', bus: 'postgres' })
    const listening = first.lines().filter((line) => line.msg === 'listening')
    expect(listening.map(({ listener, host, port }) => `${listener} ${host} ${port}`).sort()).toEqual(
      Object.entries(ports)
        .map(([name, port]) => `${name} 127.0.0.1 ${port}`)
        .sort(),
    )
    for (const name of ['control', 'coordinator'] as const) {
      expect(await get(`http://127.0.0.1:${ports[name]}/health`)).toEqual({
        status: 200,
        body: '{"ok":true}',
      })
      expect(await get(`http://127.0.0.1:${ports[name]}/ready`)).toEqual({ status: 200, body: '{"ok":true}' })
    }
    for (const name of ['sts', 'gateway', 'audit'] as const) {
      expect((await get(`http://127.0.0.1:${ports[name]}/health`)).status).toBe(200)
      expect(await get(`http://127.0.0.1:${ports[name]}/ready`)).toEqual({
        status: 200,
        body: '{"ok":true,"ready":true}',
      })
    }
    for (const name of ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const)
      expect((await get(`http://127.0.0.1:${ports[name]}/metrics`)).status).toBe(200)
    if (process.platform === 'linux')
      expect(residentBytesOf(first.child.pid ?? 0), 'resident when it has just started').toBeLessThan(250e6)
    const front = await fetch(`http://127.0.0.1:${ports.console}/`)
    expect(front.status).toBe(200)
    expect(front.headers.get('content-type')).toContain('text/html')

    first.child.kill('SIGINT')
    expect((await first.finished).code).toBe(0)
    expect(postmastersBelow(cwd)).toEqual([])

    const again = Date.now()
    const second = startCaracal(['serve'], { cwd, env })
    await second.line('ready')
    expect(Date.now() - again).toBeLessThan(15_000)
    second.child.kill('SIGTERM')
    expect((await second.finished).code).toBe(0)
    expect(postmastersBelow(cwd)).toEqual([])
  })

  it('check 34: every line of the log is JSON with level, time, service and text', async () => {
    const { env } = await allPorts()
    const server = startCaracal(['serve'], { env })
    await server.line('ready')
    server.child.kill('SIGTERM')
    const { stdout } = await server.finished
    for (const text of stdout.trim().split('\n')) {
      const line = JSON.parse(text) as Record<string, unknown>
      expect(line).toMatchObject({
        level: expect.any(String),
        time: expect.any(String),
        service: expect.stringMatching(/^(?:caracal|sts|control|coordinator|audit|gateway)$/),
        msg: expect.any(String),
      })
      expect(text.match(/"service":/g)).toHaveLength(1)
    }
  })

  it('check 34: a request shows the trace and the request id it was given, however early it was refused', async () => {
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], { env })
    await server.line('ready')
    const trace_id = '4bf92f3577b34da6a3ce929d0e0e4736'
    for (const name of ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const) {
      const answer = await fetch(`http://127.0.0.1:${ports[name]}/v1/nowhere`, {
        headers: { traceparent: `00-${trace_id}-00f067aa0ba902b7-01`, 'x-request-id': 'bad id!' },
      })
      const request_id = answer.headers.get('x-request-id')
      expect(request_id).toMatch(/^[\w-]+$/)
      const line = () => server.lines().find((one) => one.request_id === request_id)
      expect(await eventually(() => line() ?? null), name).toMatchObject({ msg: 'request', trace_id })
    }
  })

  it('a kill -9 of the server needs no cleaning', async () => {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const first = startCaracal(['serve'], { cwd, env })
    await first.line('ready')
    first.child.kill('SIGKILL')
    await first.finished
    const second = startCaracal(['serve'], { cwd, env })
    await second.line('ready')
    expect((await get(`http://127.0.0.1:${ports.gateway}/ready`)).status).toBe(200)
    second.child.kill('SIGTERM')
    expect((await second.finished).code).toBe(0)
    expect(postmastersBelow(cwd)).toEqual([])
  })

  it('check 25: a kill -9 of Postgres is survived, and the roles say so meanwhile', async () => {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], { cwd, env })
    await server.line('ready')
    for (const pid of postmastersBelow(cwd)) process.kill(pid, 'SIGKILL')
    await server.line('the embedded store is back')
    await eventually(
      async () => {
        for (const port of Object.values(ports))
          if ((await get(`http://127.0.0.1:${port}/ready`)).status !== 200) return false
        return true
      },
      { timeoutMs: 15_000, intervalMs: 200 },
    )
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })

  it('sdk-cli-console check 45: some of the roles open only their own ports', async () => {
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve', '--role=sts,gateway'], { env })
    await server.line('ready')
    const listening = server.lines().filter((line) => line.msg === 'listening')
    expect(listening.map((line) => line.port)).toEqual([ports.sts, ports.gateway])
    for (const name of ['control', 'console', 'coordinator', 'audit'] as const)
      await expect(get(`http://127.0.0.1:${ports[name]}/health`)).rejects.toThrow()
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })

  it('stops before it is ready when asked to', async () => {
    const cwd = workingDirectory()
    const { env } = await allPorts()
    const server = startCaracal(['serve'], { cwd, env })
    await server.line('creating the embedded store')
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
    expect(postmastersBelow(cwd)).toEqual([])
  })
})

describe('what cannot start', () => {
  const fails = async (env: Record<string, string>, args: string[] = [], cwd = workingDirectory()) => {
    const { code, stdout, stderr } = await runCaracal(['serve', ...args], { env, cwd })
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as { level?: string; msg?: string }
    expect({ code, level: last.level }).toEqual({ code: 1, level: 'error' })
    expect(last.msg).toMatch(/^startup failed: /)
    return { stdout, stderr, cwd }
  }

  it('check 8: a busy port is named with its role and variable before anything is touched', async () => {
    const { ports, env } = await allPorts()
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(ports.gateway, '127.0.0.1', resolve))
    try {
      const { stderr, cwd } = await fails(env)
      expect(stderr).toContain(`port ${ports.gateway} of gateway is in use`)
      expect(stderr).toContain('GATEWAY_PORT')
      expect(existsSync(join(cwd, '.caracal', 'pg'))).toBe(false)
    } finally {
      squatter.close()
    }
  })

  it('check 1: a mode that does not exist', async () => {
    const { stderr } = await fails({ CARACAL_MODE: 'prod' })
    expect(stderr).toContain('CARACAL_MODE must be one of dev, rc, stable')
  })

  it('check 3: everything that is missing, each on its line', async () => {
    const { stderr } = await fails({ CARACAL_MODE: 'stable' }, ['--role=coordinator'])
    for (const name of ['DATABASE_URL', 'STREAMS_HMAC_KEY', 'IDEMPOTENCY_HMAC_KEY', 'ISSUER_URL', 'STS_URL'])
      expect(stderr).toMatch(new RegExp(`${name} is required in stable mode\n`))
  })

  it('a certificate or key that cannot be used, each by its variable and its file', async () => {
    const cwd = workingDirectory()
    const { env } = await allPorts()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const file = (name: string, text: string): string => {
      writeFileSync(join(cwd, name), text)
      return join(cwd, name)
    }
    const cert = file('cert', certificate)
    const key = file('key', certificateKey)
    const stray = file('stray', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
    const text = file('text', 'no PEM')
    const missing = join(cwd, 'missing')
    for (const [TLS_CERT_FILE, TLS_KEY_FILE, problem] of [
      [missing, key, `TLS_CERT_FILE: ${missing} cannot be read (ENOENT)`],
      [text, key, `TLS_CERT_FILE: ${text} holds no certificate that can be used`],
      [cert, text, `TLS_KEY_FILE: ${text} holds no key that can be used`],
      [cert, stray, `TLS_KEY_FILE: ${stray} is not the key of TLS_CERT_FILE, ${cert}`],
    ] as const) {
      const { stderr } = await fails({ ...env, TLS_CERT_FILE, TLS_KEY_FILE }, ['--role=gateway'], cwd)
      expect(stderr).toContain(problem)
    }
  })

  it('a data directory that cannot be written', async () => {
    const cwd = workingDirectory()
    writeFileSync(join(cwd, 'file'), '')
    const { stderr } = await fails({ CARACAL_DATA_DIR: join(cwd, 'file', 'data') })
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('CARACAL_DATA_DIR')
  })

  it('a journal of evidence that cannot be written: the gateway does not start, the sts says so', async () => {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const AUDIT_REPLAY_DIR = join(cwd, 'file')
    writeFileSync(AUDIT_REPLAY_DIR, '')
    const { stderr, stdout } = await fails({ ...env, AUDIT_REPLAY_DIR }, ['--role=gateway'])
    expect(stderr).toMatch(/^\S AUDIT_REPLAY_DIR cannot be written\n$/)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).not.toHaveProperty('err')

    const sts = startCaracal(['serve', '--role=sts'], { cwd, env: { ...env, AUDIT_REPLAY_DIR } })
    await sts.line('ready')
    const told = sts.lines().find(({ level }) => level === 'error')
    expect(told?.msg).toContain('AUDIT_REPLAY_DIR cannot be written')
    expect((await get(`http://127.0.0.1:${ports.sts}/ready`)).body).toContain('audit_replay_unavailable')
    sts.child.kill('SIGTERM')
    expect((await sts.finished).code).toBe(0)
  })

  it('a database that does not answer, without its password', async () => {
    const { env } = await allPorts()
    const { stderr } = await fails({
      ...stableEnv,
      ...env,
      DATABASE_URL: 'postgres://caracal:very-secret-word@127.0.0.1:1/caracal',
      SHUTDOWN_GRACE_MS: '500',
    })
    expect(stderr).toContain('DATABASE_URL: Postgres cannot be reached (ECONNREFUSED)')
    expect(stderr).not.toContain('very-secret-word')
  })

  it('a cluster of another major version', async () => {
    const cwd = workingDirectory()
    const { env } = await allPorts()
    mkdirSync(join(cwd, '.caracal', 'pg'), { recursive: true })
    writeFileSync(join(cwd, '.caracal', 'pg', 'PG_VERSION'), '14\n')
    const { stderr } = await fails(env, [], cwd)
    expect(stderr).toContain('was made by Postgres 14 and this release runs 18')
  })
})

describe('with a configured Postgres', () => {
  let store: ExternalPostgres
  beforeAll(async () => {
    store = await externalPostgres()
  })
  afterAll(() => store[Symbol.asyncDispose]())

  it('check 10: serve refuses an old schema, migrate applies it once, two at a time agree', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    const { env } = await allPorts()
    const behind = await runCaracal(['serve', '--role=control'], {
      env: {
        ...stableEnv,
        ...env,
        DATABASE_URL,
        STS_URL: 'http://x',
        CARACAL_GATEWAY_URL: 'http://x',
        CARACAL_COORDINATOR_URL: 'http://x',
      },
    })
    expect(behind.code).toBe(1)
    expect(behind.stderr).toContain('run caracal migrate')

    expect(await runCaracal(['migrate', '--status'], { env: { DATABASE_URL } })).toMatchObject({ code: 3 })
    const both = await Promise.all([1, 2].map(() => runCaracal(['migrate'], { env: { DATABASE_URL } })))
    // On a slow machine each may say what it is still at, and nothing else.
    const complaints = (stderr: string) => stderr.split('\n').filter((line) => !/^$| …$/.test(line))
    expect(both.map(({ code, stderr }) => ({ code, complaints: complaints(stderr) }))).toEqual([
      { code: 0, complaints: [] },
      { code: 0, complaints: [] },
    ])
    const applied = both.flatMap(({ stdout }) =>
      stdout.split('\n').filter((line) => line.startsWith('applied ')),
    )
    expect(new Set(applied).size).toBe(applied.length)
    expect(await runCaracal(['migrate', '--json'], { env: { DATABASE_URL } })).toMatchObject({
      code: 0,
      stdout: '{"applied":[],"up_to_date":true}\n',
    })
    const status = await runCaracal(['migrate', '--status', '--json'], { env: { DATABASE_URL } })
    expect(status.code).toBe(0)
    expect(JSON.parse(status.stdout)).toEqual({
      applied: applied.map((line) => line.slice(8)).toSorted(),
      pending: [],
    })
  })

  it('check 11: a role without control waits for the schema and then names what is missing', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    const { env } = await allPorts()
    const { code, stderr } = await runCaracal(['serve', '--role=coordinator'], {
      env: { ...stableEnv, ...env, DATABASE_URL, STS_URL: 'http://x', SCHEMA_WAIT_MS: '700' },
    })
    expect(code).toBe(1)
    expect(stderr).toContain('the database has no Caracal schema: run caracal migrate')
    expect(
      await store.run(DATABASE_URL, (sql) => sql`select 1 from pg_tables where schemaname = 'public'`),
    ).toHaveLength(0)
  })

  it('check 4: a URL from a file, and stable mode closes the metrics', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    const cwd = workingDirectory()
    const file = join(cwd, 'url')
    writeFileSync(file, `${DATABASE_URL}\n`)
    expect(await runCaracal(['migrate'], { env: { DATABASE_URL_FILE: file } })).toMatchObject({ code: 0 })
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], {
      cwd,
      env: {
        ...stableEnv,
        ...env,
        DATABASE_URL_FILE: file,
        METRICS_BEARER: 'metrics',
        AUDIT_REPLAY_DIR: join(cwd, 'replay'),
      },
    })
    expect(await server.line('ready')).toMatchObject({ mode: 'stable', store: 'postgres', bus: 'postgres' })
    for (const name of ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const) {
      const url = `http://127.0.0.1:${ports[name]}/metrics`
      expect((await get(url)).status, name).toBe(401)
      expect((await get(url, { authorization: 'Bearer metrics' })).status, name).toBe(200)
    }
    expect(existsSync(join(cwd, '.caracal'))).toBe(false)
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })

  it('check 15: a superuser is refused in stable mode unless that is allowed', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { env } = await allPorts()
    const { code, stdout, stderr } = await runCaracal(['serve'], {
      env: { ...stableEnv, ...env, DATABASE_URL, CARACAL_DB_ALLOW_BYPASSRLS: 'false' },
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^\S DATABASE_URL: database role \w+ is a superuser, .*log in with an ordinary role or set CARACAL_DB_ALLOW_BYPASSRLS=true\n$/,
    )
    expect(stdout).not.toContain('"stack"')
  })

  it('split into five processes every role becomes ready, and other drivers are refused', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { ports, env } = await allPorts()
    const cwd = workingDirectory()
    const common = {
      ...stableEnv,
      ...env,
      DATABASE_URL,
      STS_URL: `http://127.0.0.1:${ports.sts}`,
      CARACAL_GATEWAY_URL: `http://127.0.0.1:${ports.gateway}`,
      CARACAL_COORDINATOR_URL: `http://127.0.0.1:${ports.coordinator}`,
      AUDIT_REPLAY_DIR: join(cwd, 'replay'),
    }
    const names = ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const
    const processes = names.map((role) => startCaracal(['serve', `--role=${role}`], { cwd, env: common }))
    await Promise.all(processes.map((one) => one.line('ready', 30_000)))
    for (const name of names)
      await eventually(async () => (await get(`http://127.0.0.1:${ports[name]}/ready`)).status === 200, {
        timeoutMs: 10_000,
      })

    const other = await runCaracal(['serve', '--role=audit', '--port', '0'], {
      env: { ...common, REDIS_URL: 'redis://127.0.0.1:1', SHUTDOWN_GRACE_MS: '1000' },
    })
    expect(other.code).toBe(1)
    expect(other.stderr).toContain('REDIS_URL is set but this deployment runs on Postgres alone')
    const switching = await runCaracal(['migrate', '--switch-bus'], { env: common })
    expect(switching.code).toBe(1)
    expect(switching.stderr).toContain('the bus cannot be switched while processes run')

    for (const one of processes) one.child.kill('SIGTERM')
    for (const one of processes) expect((await one.finished).code).toBe(0)
    const switched = await runCaracal(['migrate', '--switch-bus'], {
      env: { ...common, REDIS_URL: 'redis://127.0.0.1:1' },
    })
    expect(switched).toMatchObject({ code: 0 })
    expect(switched.stdout).toContain('events and markers now go through Redis')
  })

  it('check 19: a KEK that does not open what is there is one sentence', async () => {
    const DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const { env } = await allPorts()
    const cwd = workingDirectory()
    const common = { ...stableEnv, ...env, DATABASE_URL, AUDIT_REPLAY_DIR: join(cwd, 'replay') }
    const first = startCaracal(['serve', '--role=sts'], { cwd, env: common })
    await first.line('ready')
    first.child.kill('SIGTERM')
    await first.finished
    const SECRET_STORE_KEK = randomBytes(32).toString('hex')
    const other = await runCaracal(['serve', '--role=sts'], { cwd, env: { ...common, SECRET_STORE_KEK } })
    expect(other.code).toBe(1)
    expect(other.stderr).toMatch(/SECRET_STORE_KEK does not open what this database holds/)
    const rotated = startCaracal(['serve', '--role=sts'], {
      cwd,
      env: { ...common, SECRET_STORE_KEK, SECRET_STORE_KEK_PREVIOUS: stableEnv.SECRET_STORE_KEK ?? '' },
    })
    await rotated.line('ready')
  })
})
