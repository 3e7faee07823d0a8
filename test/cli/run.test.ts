/** sdk-cli-console §16, checks 49–55: `caracal run` as a process against an STS of the test. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { close, listen } from '../acceptance/clients/stage.ts'
import { runCaracal, startCaracal, workingDirectory } from './process.ts'

interface Call {
  readonly path: string
  readonly form: Record<string, string>
  readonly launchId: string | undefined
}
type Answer = readonly [status: number, body: unknown]

const calls: Call[] = []
let answers: {
  manifest: () => Answer
  credential: (form: Record<string, string>) => Answer
  approval: () => Answer
}
let server: Server
let sts: string

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const path = request.url ?? ''
      const form = Object.fromEntries(new URLSearchParams(body))
      calls.push({ path, form, launchId: request.headers['x-caracal-launch-id'] as string | undefined })
      const [status, answer] =
        path === '/v1/run/manifest'
          ? answers.manifest()
          : path === '/v1/run/credential'
            ? answers.credential(form)
            : answers.approval()
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  sts = (await listen(server)).replace('127.0.0.1', 'localhost')
})
afterAll(() => close(server))

const manifest = (...bindings: object[]): Answer => [200, { zone_id: 'z', workload_id: 'w', bindings }]
const key = { env: 'OPENAI_API_KEY', resource: 'resource://openai' }

beforeEach(() => {
  calls.length = 0
  answers = {
    manifest: () => manifest(key),
    credential: ({ env }) => [200, { env, credential: `value-of-${env}` }],
    approval: () => [200, { id: 'a1', state: 'approved', expires_at: null }],
  }
})

const environment = (extra: Record<string, string> = {}) => ({
  CARACAL_WORKLOAD_ID: 'w',
  CARACAL_WORKLOAD_SECRET: 'ws_the-secret',
  CARACAL_STS_URL: sts,
  ...extra,
})
const launch = (argv: string[], env: Record<string, string> = environment(), cwd?: string) =>
  runCaracal(['run', ...argv], { env, ...(cwd === undefined ? {} : { cwd }) })

describe('environment of the child', () => {
  it('49: the credential, and nothing of the workload', async () => {
    const { code, stdout, stderr } = await launch(['--', 'env'], environment({ LC_TIME: 'C', OTHER: 'x' }))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('OPENAI_API_KEY=value-of-OPENAI_API_KEY\n')
    expect(stdout).toContain('LC_TIME=C')
    expect(stdout).not.toMatch(/CARACAL|OTHER|_EXPIRES_AT|ws_/)
    expect(calls.map(({ path }) => path)).toEqual(['/v1/run/manifest', '/v1/run/credential'])
    expect(calls.map(({ form }) => form)).toEqual([
      { workload_id: 'w', secret: 'ws_the-secret' },
      { workload_id: 'w', secret: 'ws_the-secret', env: 'OPENAI_API_KEY' },
    ])
    expect(new Set(calls.map(({ launchId }) => launchId)).size).toBe(1)
    expect(calls[0]?.launchId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('49: an expiry where one is reported, unless a binding has that name', async () => {
    answers.manifest = () =>
      manifest(key, { env: 'B', resource: 'r' }, { env: 'B_EXPIRES_AT', resource: 'r' })
    answers.credential = ({ env }) => [200, { env, credential: 'c', expires_at: 1790000000 }]
    const { stdout } = await launch(['env'])
    expect(stdout).toContain('OPENAI_API_KEY_EXPIRES_AT=1790000000')
    expect(stdout).toContain('B_EXPIRES_AT=c\n')
  })
})

describe('50: exit codes', () => {
  it('of the child, of its death, of one that does not start', async () => {
    expect((await launch(['--', 'sh', '-c', 'exit 7'])).code).toBe(7)
    expect((await launch(['--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(143)
    expect((await launch(['--', 'sh', '-c', 'kill -USR1 $$'])).code).toBe(143)
    const gone = await launch(['--', '/nope'])
    expect(gone.code).toBe(127)
    expect(gone.stderr).toMatch(/^failed to start \/nope: .* \(ENOENT\)$/m)
  })

  it.each([
    ['a path through a file', '/etc/passwd/foo', 'ENOTDIR'],
    ['a name that is too long', `/${'n'.repeat(300)}`, 'ENAMETOOLONG'],
    ['no name', '', 'ERR_INVALID_ARG_VALUE'],
  ])('127 for %s', async (_what, command, reason) => {
    const { code, stderr } = await launch(['--', command])
    expect(code).toBe(127)
    expect(stderr.split('\n').find((line) => line.startsWith(`failed to start ${command}: `))).toContain(
      `(${reason})`,
    )
  })

  it('signals reach the child', async () => {
    const running = startCaracal(
      ['run', 'sh', '-c', 'trap "exit 9" TERM; echo up; while :; do sleep 0.05; done'],
      {
        env: environment(),
      },
    )
    await new Promise((resolve) => running.child.stdout?.once('data', resolve))
    running.child.kill('SIGTERM')
    expect((await running.finished).code).toBe(9)
  })

  it('1 before the child, with nothing asked of the STS', async () => {
    const directory = workingDirectory()
    const open = join(directory, 'secret')
    writeFileSync(open, 'ws_x')
    chmodSync(open, 0o644)
    const { CARACAL_WORKLOAD_SECRET: _, ...without } = environment()
    const { CARACAL_WORKLOAD_ID: __, ...nobody } = environment()
    const refused: [Record<string, string>, string][] = [
      [nobody, 'CARACAL_WORKLOAD_ID'],
      [environment({ CARACAL_WORKLOAD_SECRET_FILE: open }), 'not both'],
      [{ ...without, CARACAL_WORKLOAD_SECRET_FILE: open }, 'can be read by others'],
      [{ ...without, CARACAL_WORKLOAD_SECRET_FILE: 'ws_abcdefgh' }, 'the secret itself'],
      [without, 'is not set'],
      [environment({ CARACAL_STS_URL: 'http://sts.example' }), 'https'],
    ]
    for (const [env, text] of refused) {
      const { code, stdout, stderr } = await launch(['true'], env)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(text)
    }
    expect(calls).toEqual([])
    const help = await launch([])
    expect(help).toMatchObject({ code: 1, stdout: '' })
    expect(help.stderr).toContain('Usage: caracal run')
  })

  it('refuses to start where operator secrets lie around', async () => {
    const cwd = workingDirectory()
    mkdirSync(join(cwd, '.caracal', 'secrets'), { recursive: true })
    writeFileSync(join(cwd, '.caracal', 'secrets', 'caracalAdminToken'), 'x')
    expect((await launch(['true'], environment(), cwd)).stderr).toContain('operator secrets')
    const allowed = environment({ CARACAL_RUN_ALLOW_WORKSPACE_SECRETS: 'true' })
    expect((await launch(['true'], allowed, cwd)).code).toBe(0)
  })
})

describe('what the STS answers', () => {
  it('51: wrong secret', async () => {
    answers.manifest = () => [
      401,
      { error: 'access_denied', error_description: 'invalid workload', requestId: 'r1' },
    ]
    const { code, stdout, stderr } = await launch(['true'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('invalid workload')
    expect(stderr).not.toContain('ws_')
  })

  it.each(['ld_preload', 'NODE_OPTIONS', '1A', 'A=B'])(
    '52: binding %s ends the launch before any credential',
    async (env) => {
      answers.manifest = () => manifest(key, { env, resource: 'r' })
      expect((await launch(['true'])).code).toBe(1)
      expect(calls).toHaveLength(1)
    },
  )

  const hold = {
    error: 'interaction_required',
    approval_id: 'a1',
    approval_type: 'human_approval',
    state: 'pending',
    binding: 'abcd',
    approval_expires_at: new Date(Date.now() + 60_000).toISOString(),
    requestId: 'r2',
  }

  it('53: waits for an approval and starts', async () => {
    answers.credential = ({ env, approval_id }) =>
      approval_id === 'a1' ? [200, { env, credential: 'approved-one' }] : [401, hold]
    const { code, stdout, stderr } = await launch(['printenv', 'OPENAI_API_KEY'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'approved-one\n' })
    expect(JSON.parse(stderr)).toEqual({
      resource: 'resource://openai',
      approval_id: 'a1',
      binding: 'abcd',
      expires_at: hold.approval_expires_at,
      reason: 'approval_required',
    })
    expect(calls.map(({ path }) => path.split('?')[0])).toEqual([
      '/v1/run/manifest',
      '/v1/run/credential',
      '/approvals/a1',
      '/v1/run/credential',
    ])
  })

  it('53: a rejection ends it', async () => {
    answers.credential = () => [401, hold]
    answers.approval = () => [200, { id: 'a1', state: 'rejected', expires_at: null }]
    const { code, stderr } = await launch(['true'])
    expect(code).toBe(1)
    expect(JSON.parse(stderr.split('\n')[1] ?? '')).toEqual({
      resource: 'resource://openai',
      reason: 'approval_rejected',
      requestId: 'r2',
    })
  })

  it('54: an optional binding is skipped or not, as it says', async () => {
    const failing = { env: 'B', resource: 'resource://b', optional: true }
    answers.credential = ({ env }) =>
      env === 'B'
        ? [403, { error: 'access_denied', error_description: 'no' }]
        : [200, { env, credential: 'c' }]
    answers.manifest = () => manifest(key, { ...failing, on_failure: 'warn' })
    const skipped = await launch(['printenv', 'OPENAI_API_KEY'])
    expect(skipped).toEqual({
      code: 0,
      stdout: 'c\n',
      stderr: 'optional credential skipped resource=resource://b reason=no\n',
    })
    answers.manifest = () => manifest(key, { ...failing, on_failure: 'error' })
    const failed = await launch(['true'])
    expect(failed.code).toBe(1)
    expect(failed.stderr.split('\n')[0]).toBe('{"resource":"resource://b","reason":"access_denied"}')
  })

  it('55: a variable that an .env of the directory sets is not believed', async () => {
    const cwd = workingDirectory()
    writeFileSync(join(cwd, '.env'), `CARACAL_STS_URL=${sts}\n`)
    const { code, stderr } = await launch(['true'], environment({ CARACAL_ENV: 'production' }), cwd)
    expect(code).toBe(1)
    expect(stderr).toContain('CARACAL_STS_URL is ignored')
    expect(calls).toEqual([])
  })
})
