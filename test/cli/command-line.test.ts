import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findAccess } from '../../src/cli/api/login-file.ts'
import { parseArguments } from '../../src/cli/arguments.ts'
import { commands } from '../../src/cli/commands.ts'
import { commandEnvironment } from '../../src/cli/environment.ts'
import { runCommandLine } from '../../src/cli/main.ts'
import { createOutput } from '../../src/cli/output.ts'
import { certificate, certificateKey } from '../fixtures/tls-server.ts'
import { postmastersBelow, runCaracal, startCaracal, workingDirectory } from './process.ts'

function capture() {
  const text = { out: '', err: '' }
  const stream = (name: 'out' | 'err') => ({
    write(chunk: string) {
      text[name] += chunk
    },
  })
  return { text, stdout: stream('out'), stderr: stream('err') }
}

async function run(argv: string[], env: Record<string, string> = {}) {
  const { text, stdout, stderr } = capture()
  const code = await runCommandLine(argv, { env: { HOME: '/nonexistent', ...env }, cwd: '/', stdout, stderr })
  return { code, ...text }
}

describe('global behaviour', () => {
  it('43: help in all its spellings goes to stdout with 0', async () => {
    const plain = await run([])
    expect(plain).toMatchObject({ code: 0, err: '' })
    expect(plain.out).toMatch(/^Usage: caracal <command>/)
    for (const argv of [['help'], ['--help'], ['-h'], ['--', 'help']]) expect(await run(argv)).toEqual(plain)
  })

  it('every command explains itself without loading any configuration', async () => {
    for (const { name } of commands)
      for (const word of ['help', '--help', '-h']) {
        const { code, out, err } = await run([name, word], { CARACAL_MODE: 'nonsense' })
        expect({ code, err }).toEqual({ code: 0, err: '' })
        expect(out).toContain(`Usage: caracal ${name}`)
      }
  })

  it('an option that asks for help does so behind other words too, but not in the command of another program', async () => {
    for (const argv of [
      ['auth', 'login', '--help'],
      ['secrets', 'reseal', '-h'],
      ['status', '--ready', '--help'],
    ]) {
      const { code, out, err } = await run(argv, { CARACAL_MODE: 'nonsense' })
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toContain(`Usage: caracal ${argv[0]}`)
    }
    expect((await run(['run', 'node', '--help'])).err).toContain('CARACAL_WORKLOAD_ID')
  })

  it('no command is named after a product object', () => {
    expect(commands.map(({ name }) => name)).not.toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^(zone|application|resource|policy|provider|grant|agent)/),
      ]),
    )
  })

  it('43: unknown commands and options end with 1 and usage on stderr', async () => {
    for (const words of [['frobnicate'], ['zone', 'list']])
      expect(await run(words)).toMatchObject({ code: 1, out: '' })
    const unknown = await run(['zone', 'create'])
    expect(unknown).toMatchObject({ code: 1, out: '' })
    expect(unknown.err).toContain('unknown command "zone"')
    expect(unknown.err).toContain('Usage: caracal <command>')
    const option = await run(['migrate', '--statos'])
    expect(option).toMatchObject({ code: 1, out: '' })
    expect(option.err).toContain('unknown option --statos')
    expect(option.err).toContain('Usage: caracal migrate')
  })

  it('44: prints the version as five lines or as one line of JSON', async () => {
    const { out } = await run(['--version'], { CARACAL_MODE: 'rc' })
    expect(out.split('\n')).toEqual([
      'Caracal',
      '  binary   caracal',
      expect.stringMatching(/^ {2}version {2}\d/),
      '  mode     rc',
      expect.stringMatching(/^ {2}sha {6}\S/),
      '',
    ])
    expect(Object.keys(JSON.parse((await run(['version', '--json'])).out))).toEqual([
      'binary',
      'version',
      'mode',
      'sha',
    ])
    expect(await run(['-v'])).toEqual(await run(['version']))
  })
})

describe('arguments', () => {
  const flags = { role: 'text', ready: 'switch' } as const

  it('reads --k=v, --k v and a bare --k', () => {
    expect(parseArguments(['--role=sts', '--ready', 'x'], flags)).toEqual({
      values: { role: 'sts' },
      switches: new Set(['ready']),
      positional: ['x'],
    })
    expect(parseArguments(['--role', 'sts'], flags).values).toEqual({ role: 'sts' })
  })

  it('refuses a value that begins with --, a missing one, and one for a switch', () => {
    expect(() => parseArguments(['--role', '--ready'], flags)).toThrow('--role needs a value')
    expect(() => parseArguments(['--role'], flags)).toThrow('--role needs a value')
    for (const words of [['--role='], ['--role', '']])
      expect(() => parseArguments(words, flags)).toThrow('--role needs a value')
    expect(() => parseArguments(['--ready=1'], flags)).toThrow('--ready takes no value')
    expect(() => parseArguments(['--constructor'], flags)).toThrow('unknown option --constructor')
  })
})

describe('output', () => {
  it('never shows a secret', () => {
    const { text, stdout, stderr } = capture()
    const out = createOutput({ CARACAL_ADMIN_TOKEN: 'chosen-by-a-person' }, stdout, stderr)
    const secrets = [
      'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln',
      'caracal_at_abcdef123',
      'caracal_rt_abcdef123',
      'cat_abcdefghijkl',
      'ws_abcdefghijkl',
      'chosen-by-a-person',
    ]
    for (const secret of secrets) out.line(`before ${secret} after`)
    out.errorLine('Authorization: Bearer abc.def-123')
    out.errorLine('connect postgres://user:hunter2hunter@db:5432/x failed')
    out.errorLine('connect redis://:hunter3@hunter3@cache:6379/0 failed')
    for (const secret of [...secrets, 'abc.def-123', 'hunter2hunter', 'hunter3'])
      expect(text.out + text.err).not.toContain(secret)
    expect(text.out).toContain('before *** after')
    expect(text.err).toContain('postgres://user:***@db:5432/x')
    expect(text.err).toContain('redis://:***@cache:6379/0')
  })

  it('uses marks that the terminal can show and colour only where it is wanted', () => {
    const show = (env: Record<string, string>, isTTY = false) => {
      const { text, stdout, stderr } = capture()
      createOutput(env, { ...stdout, isTTY }, stderr).status('ok', 'done')
      return text.out
    }
    expect(show({ LANG: 'en_US.UTF-8' })).toBe('✓ done\n')
    expect(show({ LANG: 'C' })).toBe('+ done\n')
    expect(show({ LANG: 'C' }, true)).toBe('\u001b[32m+\u001b[0m done\n')
    expect(show({ LANG: 'C', NO_COLOR: '1' }, true)).toBe('+ done\n')
    expect(show({ LANG: 'C', FORCE_COLOR: '1' })).toBe('\u001b[32m+\u001b[0m done\n')
    expect(show({ LANG: 'C', FORCE_COLOR: '0' })).toBe('+ done\n')
  })
})

describe('environment', () => {
  it('drops what an .env of the working directory slipped in, and reads the files of the operator', () => {
    const cwd = workingDirectory()
    writeFileSync(join(cwd, '.env'), 'CARACAL_STS_URL=http://evil\nOTHER=1\n')
    writeFileSync(
      join(cwd, 'operator.env'),
      '# comment\nLOG_LEVEL="debug"\nexport HOST=\'h\'\nnot a line\nDATABASE_URL=x\n',
    )
    const given = {
      HOME: cwd,
      CARACAL_STS_URL: 'http://evil',
      CARACAL_API_URL: 'http://mine',
      OTHER: '1',
      HOST: 'given',
      DATABASE_URL_FILE: '/somewhere',
      CARACAL_ENV_FILE: join(cwd, 'operator.env'),
    }
    const { env, removed } = commandEnvironment(given, cwd)
    expect(removed).toEqual(['CARACAL_STS_URL'])
    expect(env).toMatchObject({
      CARACAL_API_URL: 'http://mine',
      OTHER: '1',
      LOG_LEVEL: 'debug',
      HOST: 'given',
    })
    expect(env.CARACAL_STS_URL).toBeUndefined()
    expect(env.DATABASE_URL).toBeUndefined()
  })

  it('a file never overrides what the process gives, whichever name of a variable either uses', () => {
    const cwd = workingDirectory()
    const file = join(cwd, 'operator.env')
    writeFileSync(
      file,
      'DB_POOL_MAX=5\nSTS_PORT=1\nCARACAL_AUDIT_PORT=2\nLOG_LEVEL=info\nCARACAL_LOG_LEVEL=warn\n',
    )
    const given = { DB_MAX_CONNS: '9', CARACAL_STS_PORT: '8', AUDIT_PORT: '7' }
    const { env } = commandEnvironment({ ...given, HOME: cwd, CARACAL_ENV_FILE: file }, cwd)
    expect(env).toMatchObject({ ...given, LOG_LEVEL: 'info', CARACAL_LOG_LEVEL: 'warn' })
    expect(env).not.toHaveProperty('DB_POOL_MAX')
    expect(env).not.toHaveProperty('STS_PORT')
    expect(env).not.toHaveProperty('CARACAL_AUDIT_PORT')
  })
})

describe('status', () => {
  it('tells of every service and fails unless all are well', async () => {
    const server = createServer((request, response) => {
      const ready = request.url === '/ready'
      response.writeHead(ready ? 503 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(ready ? { ok: false, reason: 'postgres_unreachable' } : { ok: true }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const names = ['API', 'STS', 'GATEWAY', 'AUDIT', 'COORDINATOR']
    const env = Object.fromEntries(names.map((name) => [`CARACAL_${name}_URL`, url]))
    try {
      const well = await run(['status', '--json'], env)
      expect(well.code).toBe(0)
      const report = JSON.parse(well.out)
      expect(report.mode).toBe('health')
      expect(report.services.map((one: { name: string }) => one.name)).toEqual([
        'api',
        'sts',
        'gateway',
        'audit',
        'coordinator',
      ])
      expect(report.services[0]).toEqual({
        name: 'api',
        port: Number(new URL(url).port),
        url: `${url}/health`,
        ok: true,
        detail: '200',
      })
      const unready = await run(['status', '--ready'], env)
      expect(unready.code).toBe(1)
      expect(unready.out).toContain('503 postgres_unreachable')
      const gone = await run(['status', '--role=sts'], { CARACAL_STS_URL: 'http://127.0.0.1:1' })
      expect(gone).toMatchObject({ code: 1 })
      expect(gone.out).toContain('unreachable')
    } finally {
      server.close()
    }
  })

  it('asks the ports that the variables of the server name', async () => {
    const { out } = await run(['status', '--json'], { STS_PORT: '1', CARACAL_AUDIT_PORT: '2' })
    const urls = (JSON.parse(out).services as { url: string }[]).map(({ url }) => url)
    expect(urls).toEqual(expect.arrayContaining(['http://localhost:1/health', 'http://localhost:2/health']))
  })

  it('healthcheck asks the port and path it is told', async () => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/ready' ? 200 : 500).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const PORT = String((server.address() as AddressInfo).port)
    try {
      expect(await run(['healthcheck'], { CARACAL_ROLE: 'audit', PORT })).toMatchObject({ code: 0 })
      expect(
        await run(['healthcheck'], { CARACAL_ROLE: 'audit', PORT, HEALTH_PATH: '/health' }),
      ).toMatchObject({ code: 1 })
      // `serve --role=audit`: the probe does not see the option.
      expect(await run(['healthcheck'], { PORT })).toMatchObject({ code: 0 })
      const several = { CARACAL_ROLE: 'sts,audit', STS_PORT: PORT, CARACAL_AUDIT_PORT: PORT, PORT: '1' }
      expect(await run(['healthcheck'], several)).toMatchObject({ code: 0 })
      expect(await run(['healthcheck'], { ...several, STS_PORT: '1' })).toMatchObject({
        code: 1,
        err: 'not ready: port 1\n',
      })
    } finally {
      server.close()
    }
  })

  it('healthcheck asks those that listen where CARACAL_ROLE names nobody', async () => {
    let status = 200
    const server = createServer((_request, response) => response.writeHead(status).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const STS_PORT = String((server.address() as AddressInfo).port)
    const others = ['CONTROL', 'COORDINATOR', 'GATEWAY', 'AUDIT'].map((role) => [`${role}_PORT`, '1'])
    const env = { ...Object.fromEntries(others), STS_PORT }
    try {
      expect(await run(['healthcheck'], env)).toMatchObject({ code: 0 })
      status = 503
      expect(await run(['healthcheck'], env)).toMatchObject({
        code: 1,
        err: `not ready: port ${STS_PORT}\n`,
      })
    } finally {
      server.close()
    }
    expect(await run(['healthcheck'], env)).toMatchObject({ code: 1 })
  })

  it('a gateway with a certificate of its own is asked as one', async () => {
    const plain = createServer((_request, response) => response.end())
    const secure = createTlsServer({ key: certificateKey, cert: certificate }, (_request, response) => {
      response.end()
    })
    for (const server of [plain, secure])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const portOf = (server: typeof plain) => String((server.address() as AddressInfo).port)
    const GATEWAY_PORT = portOf(secure)
    const env = { STS_PORT: portOf(plain), GATEWAY_PORT, TLS_CERT_FILE: '/cert', TLS_KEY_FILE: '/key' }
    try {
      expect(await run(['healthcheck'], { ...env, CARACAL_ROLE: 'sts,gateway' })).toMatchObject({ code: 0 })
      const single = { ...env, CARACAL_SINGLE_PORT: GATEWAY_PORT }
      expect(await run(['healthcheck'], single)).toMatchObject({ code: 0 })
      expect(await run(['status', '--role=sts,gateway'], env)).toMatchObject({ code: 0 })
      expect(await run(['status'], single)).toMatchObject({ code: 0 })
      // Another host has to show who it is.
      const named = { ...env, CARACAL_GATEWAY_URL: `https://localhost:${GATEWAY_PORT}` }
      expect(await run(['status', '--role=gateway'], named)).toMatchObject({ code: 1 })
    } finally {
      plain.close()
      secure.close()
    }
  })

  it('looks where a server of this environment listens, unless a URL says otherwise', async () => {
    const env = { STS_PORT: '1', CARACAL_AUDIT_PORT: '2', CONTROL_PORT: '3', CARACAL_API_URL: 'http://a:4' }
    const { out } = await run(['status', '--json'], env)
    const { services } = JSON.parse(out) as { services: { name: string; url: string }[] }
    expect(Object.fromEntries(services.map(({ name, url }) => [name, url]))).toMatchObject({
      api: 'http://a:4/health',
      sts: 'http://localhost:1/health',
      audit: 'http://localhost:2/health',
      gateway: 'http://localhost:8081/health',
    })
    const alone = await run(['status', '--role=sts'], { CARACAL_ROLE: 'sts', PORT: '5' })
    expect(alone.out).toContain('http://localhost:5/health')
  })
})

describe('which server and token', () => {
  const access = (
    files: Record<string, readonly [text: string, mode: number]>,
    env: Record<string, string>,
  ) => {
    const cwd = workingDirectory()
    for (const [name, [text, mode]] of Object.entries(files)) writeFileSync(join(cwd, name), text, { mode })
    const named = Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value.replace('@', `${cwd}/`)]),
    )
    return findAccess({ HOME: cwd, CARACAL_CONFIG_HOME: cwd, CARACAL_HOME: cwd, ...named }, cwd)
  }

  it.each([
    ['broken', ['{nope', 0o600]],
    ['readable by others', ['{"server":"http://a","token":"t"}', 0o644]],
  ] as const)('a given token goes before a saved login that is %s', (_how, login) => {
    const given = access({ 'auth.json': login }, { CARACAL_ADMIN_TOKEN: 'given' })
    expect(given).toMatchObject({ token: 'given', server: 'http://localhost:3000' })
    expect(() => access({ 'auth.json': login }, {})).toThrow('auth.json')
  })

  it('a given token goes to the server of the saved login', () => {
    const files = { 'auth.json': ['{"server":"http://a","token":"t"}', 0o600] } as const
    expect(access(files, { CARACAL_ADMIN_TOKEN: 'given' })).toMatchObject({
      server: 'http://a',
      token: 'given',
    })
  })

  it('the file of a given token may be readable by others, as containers mount it', () => {
    const env = { CARACAL_ADMIN_TOKEN_FILE: '@token' }
    expect(access({ token: ['given\n', 0o644] }, env)).toMatchObject({ token: 'given' })
    expect(() => access({}, env)).toThrow('CARACAL_ADMIN_TOKEN_FILE cannot be read')
  })

  it('the port of control where nothing else says', () => {
    const env = { CARACAL_ADMIN_TOKEN: 'given' }
    expect(access({}, { ...env, CONTROL_PORT: '1' })?.server).toBe('http://localhost:1')
    expect(access({}, { ...env, CONTROL_PORT: '1', CARACAL_SINGLE_PORT: '2' })?.server).toBe(
      'http://localhost:2',
    )
  })
})

describe('api', () => {
  it('refuses a body where HTTP has none, and says what to do', async () => {
    for (const words of [
      ['zones', '{"a":1}'],
      ['GET', 'zones', '{}'],
      ['head', 'zones', '{}'],
    ])
      expect(await run(['api', ...words], { CARACAL_ADMIN_TOKEN: 'x' })).toMatchObject({
        code: 1,
        err: expect.stringMatching(/takes no body: name the method, such as POST/),
      })
  })

  it('an answer that is too long is no failure of the network', async () => {
    const server = createServer((_request, response) => {
      response.end(Buffer.alloc(64 * 1024 * 1024 + 1, ' '))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const CARACAL_API_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const { code, err } = await run(['api', 'zones'], { CARACAL_ADMIN_TOKEN: 'x', CARACAL_API_URL })
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('longer than 67108864 bytes') })
    } finally {
      server.close()
    }
  })
})

describe('auth status', () => {
  it.each([
    [401, 'invalid', 'does not accept this token (401)'],
    [404, 'unreachable', 'does not say whom it takes the token for (404)'],
    [429, 'unreachable', 'does not say whom it takes the token for (429)'],
    [302, 'unreachable', 'does not say whom it takes the token for (302)'],
  ] as const)('after %i', async (answer, outcome, sentence) => {
    const server = createServer((_request, response) => response.writeHead(answer).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const CARACAL_API_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const env = { CARACAL_ADMIN_TOKEN: 'x', CARACAL_API_URL }
    try {
      expect(await run(['auth', 'status'], env)).toMatchObject({
        code: 1,
        err: expect.stringContaining(sentence),
      })
      expect(JSON.parse((await run(['auth', 'status', '--json'], env)).out)).toMatchObject({
        status: outcome,
      })
    } finally {
      server.close()
    }
  })
})

describe('as a process', () => {
  it('whose reader leaves ends as other programs do, without a word', async () => {
    for (const words of [['--help'], ['status']]) {
      const { child, finished } = startCaracal(words)
      child.stdout?.destroy()
      const { code, stderr } = await finished
      expect({ words, code, stderr }).toEqual({ words, code: 141, stderr: '' })
    }
  })

  it('a demo whose reader leaves takes everything it started with it', async () => {
    const TMPDIR = workingDirectory()
    const { child, finished } = startCaracal(['demo', '--keep'], { env: { TMPDIR } })
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    expect(readdirSync(TMPDIR)).toHaveLength(1)
    child.stdout?.destroy()
    expect(await finished).toMatchObject({ code: 141, stderr: '' })
    expect(readdirSync(TMPDIR)).toEqual([])
    expect(postmastersBelow(TMPDIR)).toEqual([])
  }, 120_000)

  it('answers with exit codes and keeps stdout and stderr apart', async () => {
    expect(await runCaracal(['version'])).toMatchObject({ code: 0, stderr: '' })
    expect(await runCaracal(['nonsense'])).toMatchObject({ code: 1, stdout: '' })
  })

  it('check 9: an unknown role ends with 1 and usage on stderr', async () => {
    const { code, stdout, stderr } = await runCaracal(['serve', '--role=guard'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('unknown role "guard"')
    expect(stderr).toContain('Usage: caracal serve')
    expect(await runCaracal(['serve', '--role='])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--role needs a value'),
    })
  })
})
