/** What holds for every command: its help has an example, and whatever goes wrong is one sentence. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { runCommandLine } from '../../src/cli/main.ts'
import { type Finished, runCaracal, workingDirectory } from './process.ts'

// A process for each case; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

async function inProcess(argv: string[]): Promise<Finished> {
  let stdout = ''
  let stderr = ''
  const code = await runCommandLine(argv, {
    env: { HOME: '/nonexistent' },
    cwd: '/',
    stdout: {
      write(chunk: string) {
        stdout += chunk
      },
    },
    stderr: {
      write(chunk: string) {
        stderr += chunk
      },
    },
  })
  return { code, stdout, stderr }
}

const names = commands.map(({ name }) => name)
const read = commands.filter(({ verbatim }) => verbatim !== true)

it.each(names)('%s explains itself with an example', async (name) => {
  const { code, stdout } = await inProcess([name, '--help'])
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`^ *Example: .*caracal ${name}\\b`, 'm'))
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(140)
})

describe('arguments that make no sense', () => {
  it.each(read.map(({ name, takes = 0 }) => [name, takes] as const))('%s', async (name, takes) => {
    const cases = [['--nonsense'], ['--nonsense=1'], ['-Z'], ['--=']]
    if (Number.isFinite(takes)) cases.push(Array.from({ length: takes + 1 }, () => 'surplus'))
    for (const words of cases) {
      const { code, stdout, stderr } = await inProcess([name, ...words])
      expect([code, stdout], words.join(' ')).toEqual([1, ''])
      const [sentence, usage] = stderr.split('\n')
      expect(sentence).toMatch(/^\S (unknown option|unexpected argument|unknown sub-command) /)
      expect(usage).toMatch(new RegExp(`^Usage: caracal ${name}\\b`))
    }
  })
  const parts = read.flatMap((command) =>
    Object.entries(command.subcommands ?? {}).map(([word, part]) => ({ command, word, ...part })),
  )
  it.each(parts.map((part) => [part.command.name, part.word, part] as const))(
    '%s %s',
    async (name, word, { command, takes = 0, flags }) => {
      const surplus = Array.from({ length: takes + 1 }, () => 'surplus')
      const others = Object.entries(command.flags).filter(([flag]) => !flags.includes(flag))
      for (const [words, refusal] of [
        [surplus, 'unexpected argument "surplus"'],
        ...others.map(
          ([flag, kind]) =>
            [
              [kind === 'text' ? `--${flag}=x` : `--${flag}`],
              `${name} ${word} does not take --${flag}`,
            ] as const,
        ),
      ] as const) {
        const { code, stdout, stderr } = await inProcess([name, word, ...words])
        expect([code, stdout], words.join(' ')).toEqual([1, ''])
        const [sentence, usage] = stderr.split('\n')
        expect(sentence).toContain(refusal)
        expect(usage).toMatch(new RegExp(`^Usage: caracal ${name}\\b`))
      }
    },
  )
  it('help', async () => {
    const { code, stdout, stderr } = await inProcess(['help', 'serve', 'surplus'])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^\S unexpected argument "surplus"\n/)
  })
  it.each(
    read.flatMap(({ name, flags }) =>
      Object.entries(flags)
        .filter(([flag, kind]) => kind === 'text' && flag.length > 1)
        .map(([flag]) => [name, flag] as const),
    ),
  )('%s --%s without a value', async (name, flag) => {
    const { code, stderr } = await inProcess([name, `--${flag}`])
    expect(code).toBe(1)
    expect(stderr.split('\n')[0]).toContain(`--${flag} needs a value`)
  })
})

/** One way of calling each command that reaches for something outside. */
const calls: Readonly<Record<string, readonly (readonly string[])[]>> = {
  up: [['up']],
  down: [['down']],
  upgrade: [['upgrade']],
  logs: [['logs']],
  purge: [['purge', 'all', '--yes']],
  allowlist: [['allowlist', 'add', '@example.com']],
  secrets: [['secrets', 'reseal']],
  serve: [['serve'], ['serve', '--workers=2']],
  migrate: [['migrate'], ['migrate', '--status']],
  status: [['status'], ['status', '--ready', '--json']],
  healthcheck: [['healthcheck']],
  version: [['version']],
  demo: [['demo', '--keep', 'no']],
  run: [['run', '--', 'true']],
  web: [['web']],
  audit: [
    ['audit', 'verify'],
    ['audit', 'verify-receipt', 'none'],
    ['audit', 'verify-receipt', 'junk', '--keys', 'junk'],
  ],
  shell: [['shell']],
  auth: [
    ['auth', 'status'],
    ['auth', 'login', '--token', '-'],
    ['auth', 'logout'],
  ],
  api: [
    ['api', 'zones'],
    ['api', 'POST', 'zones', '@none'],
  ],
  completion: [['completion', 'tcsh']],
}
/** Nothing is asked of anybody; the shell is told nothing. */
const harmless: ReadonlySet<string> = new Set(['down', 'version', 'allowlist', 'auth logout', 'shell'])
const password = 'hidden-password'
const nowhere = 'http://127.0.0.1:1'

function expectOneSentence(words: readonly string[], { code, stdout, stderr }: Finished): void {
  const said = `${words.join(' ')}: ${code}\n${stdout}\n${stderr}`
  expect(`${stdout}${stderr}`, said).not.toMatch(/\n\s+at |node:internal|AggregateError|\[object /)
  expect(`${stdout}${stderr}`, said).not.toContain(password)
  if (harmless.has(words[0] ?? '') || harmless.has(words.slice(0, 2).join(' '))) return
  const isOfNetwork = words[0] === 'api' && !words.includes('@none') && stderr.includes('cannot be reached')
  expect(code, said).toBe(isOfNetwork ? 2 : 1)
  if (words[0] === 'status') return
  const sentence = stderr.split('\n').findLast((line) => /^(?:caracal: |x |not ready)/.test(line)) ?? ''
  expect(sentence, said).toMatch(/^(?:caracal: |x |not ready).{8,}/)
  // What only a programmer knows what to do about.
  expect(sentence, said).not.toMatch(/Invalid URL|^caracal: (?:connect |E[A-Z]{4,}|Unexpected|Cannot read)/)
}

it('every command has a case', () => {
  expect(Object.keys(calls).sort()).toEqual([...names].sort())
})

describe.each(
  Object.entries(calls).flatMap(([, list]) => list.map((words) => [words.join(' '), words] as const)),
)('caracal %s', (_title, words) => {
  it('where nobody answers', async () => {
    const cwd = workingDirectory()
    writeFileSync(join(cwd, 'junk'), '{{')
    const keys = ['a1', 'b2', 'c3', 'd4', 'e5'].map((pair) => pair.repeat(32))
    const [kek = '', previous = '', audit = '', streams = '', idempotency = ''] = keys
    const env = {
      CARACAL_HOME: join(cwd, 'home'),
      CARACAL_MODE: 'dev',
      CARACAL_API_URL: nowhere,
      CARACAL_WEB_URL: nowhere,
      CARACAL_STS_URL: nowhere,
      CARACAL_GATEWAY_URL: nowhere,
      CARACAL_COORDINATOR_URL: nowhere,
      CARACAL_AUDIT_URL: nowhere,
      DATABASE_URL: `postgres://caracal:${password}@127.0.0.1:1/caracal`,
      REDIS_URL: `redis://:${password}@127.0.0.1:1`,
      CARACAL_ADMIN_TOKEN: `cat_${password}-of-enough-characters`,
      CARACAL_WORKLOAD_ID: 'workload',
      CARACAL_WORKLOAD_SECRET: `ws_${password}`,
      SECRET_STORE_KEK: kek,
      SECRET_STORE_KEK_PREVIOUS: previous,
      AUDIT_HMAC_KEY: audit,
      STREAMS_HMAC_KEY: streams,
      IDEMPOTENCY_HMAC_KEY: idempotency,
      MIGRATION_CONNECT_RETRIES: '0',
      SHUTDOWN_GRACE_MS: '300',
      HEALTH_TIMEOUT_MS: '500',
    }
    expectOneSentence(words, await runCaracal(words, { cwd, env }))
  })

  it('where everything that is configured is garbage', async () => {
    const cwd = workingDirectory()
    const junk = join(cwd, 'junk')
    writeFileSync(junk, '\u0000{{')
    mkdirSync(join(cwd, 'config', 'caracal'), { recursive: true })
    writeFileSync(join(cwd, 'config', 'caracal', 'auth.json'), '{nope', { mode: 0o600 })
    writeFileSync(join(cwd, 'config', 'caracal', 'caracal.toml'), '[[[', { mode: 0o600 })
    const env = {
      XDG_CONFIG_HOME: join(cwd, 'config'),
      CARACAL_HOME: junk,
      CARACAL_ENV_FILE: junk,
      CARACAL_SECRETS_DIR: junk,
      CARACAL_DATA_DIR: junk,
      CARACAL_MODE: 'nonsense',
      CARACAL_ROLE: 'king',
      CARACAL_WORKERS: 'many',
      CARACAL_API_URL: 'not a url',
      CARACAL_WEB_URL: 'ftp://x',
      CARACAL_STS_URL: '::::',
      CARACAL_GATEWAY_URL: 'x',
      CARACAL_COORDINATOR_URL: 'javascript:1',
      CARACAL_AUDIT_URL: '/',
      DATABASE_URL: `mysql://${password}`,
      REDIS_URL: password,
      PORT: 'x',
      STS_PORT: 'abc',
      CONTROL_PORT: '-1',
      SECRET_STORE_KEK: 'short',
      AUDIT_HMAC_KEY: 'zz',
      HEALTH_TIMEOUT_MS: 'x',
      CARACAL_WORKLOAD_ID: 'workload',
      CARACAL_WORKLOAD_SECRET: `ws_${password}`,
    }
    expectOneSentence(words, await runCaracal(words, { cwd, env }))
  })
})

it('the ledger is verified where there is one, and no empty store is started to look in', async () => {
  const cwd = workingDirectory()
  const { code, stderr } = await runCaracal(['audit', 'verify'], { cwd })
  expect(code).toBe(1)
  expect(stderr).toContain(`there is no store in ${join(cwd, '.local', 'share', 'caracal', 'data')}`)
  expect(existsSync(join(cwd, '.caracal'))).toBe(false)
})
