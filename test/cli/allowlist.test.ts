/** sdk-cli-console §12.9 and §16 check 59: the file of people who may use the console. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { runCommandLine } from '../../src/cli/main.ts'
import { workingDirectory } from './process.ts'

let cwd: string
let env: Record<string, string>
let path: string

beforeEach(() => {
  cwd = workingDirectory()
  env = { HOME: cwd, CARACAL_SECRETS_DIR: join(cwd, 'secrets') }
  path = join(cwd, 'secrets', 'allowlist', 'operatorAllowlist.json')
})

async function run(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' }
  const append = (stream: keyof typeof text, chunk: string) => {
    text[stream] += chunk
  }
  const code = await runCommandLine(['allowlist', ...words], {
    env,
    cwd,
    stdout: { write: (chunk) => append('stdout', chunk) },
    stderr: { write: (chunk) => append('stderr', chunk) },
  })
  return { code, ...text }
}
const codes = async (...lines: string[]): Promise<number[]> => {
  const answers: number[] = []
  for (const line of lines) answers.push((await run(...line.split(' '))).code)
  return answers
}
const emails = () => (JSON.parse(readFileSync(path, 'utf8')) as { emails: Record<string, string> }).emails

describe('59: exit codes and what they leave in the file', () => {
  it('add: new, again, locked, removed', async () => {
    expect(await codes('add a@x.io', 'add a@x.io', 'lock a@x.io', 'add a@x.io')).toEqual([0, 0, 0, 1])
    expect(emails()).toEqual({ 'a@x.io': 'locked' })
    expect(await codes('remove a@x.io', 'add a@x.io')).toEqual([0, 0])
    expect(emails()).toEqual({ 'a@x.io': 'active' })
  })

  it('remove: unknown, known, again', async () => {
    expect(await codes('remove a@x.io', 'add a@x.io', 'remove a@x.io', 'remove a@x.io')).toEqual([1, 0, 0, 0])
    expect(emails()).toEqual({ 'a@x.io': 'removed' })
  })

  it('lock and unlock: unknown, removed, no change', async () => {
    expect(await codes('lock a@x.io', 'unlock a@x.io')).toEqual([1, 1])
    expect(await codes('add a@x.io', 'unlock a@x.io', 'lock a@x.io', 'lock a@x.io')).toEqual([0, 0, 0, 0])
    expect(await codes('unlock a@x.io', 'remove a@x.io', 'lock a@x.io', 'unlock a@x.io')).toEqual([
      0, 0, 1, 1,
    ])
  })

  it('help without a sub-command, usage for anything else', async () => {
    expect(await run()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Usage: caracal allowlist'),
    })
    expect(await codes('ban a@x.io', 'add', 'add nobody', 'add a@x.io b@x.io', 'list a@x.io')).toEqual([
      1, 1, 1, 1, 1,
    ])
    expect(readdirSync(cwd)).toEqual([])
  })
})

it('59: the file is lower case, sorted, two spaces, a newline; readable, in a readable directory', async () => {
  await codes('add Zoe@Example.COM', 'add @b.example', 'add a@x.io', 'lock @b.example')
  expect(readFileSync(path, 'utf8')).toBe(
    '{\n  "emails": {\n    "@b.example": "locked",\n    "a@x.io": "active",\n    "zoe@example.com": "active"\n  }\n}\n',
  )
  expect([path, dirname(path), join(cwd, 'secrets')].map((one) => statSync(one).mode & 0o777)).toEqual([
    0o644, 0o755, 0o700,
  ])
  expect(readdirSync(dirname(path))).toEqual(['operatorAllowlist.json'])
})

it('list says who is on it', async () => {
  expect(await run('list')).toMatchObject({ code: 0, stdout: expect.stringContaining('nobody') })
  await codes('add a@x.io', 'add b@x.io', 'lock b@x.io')
  expect((await run('list')).stdout).toBe('active   a@x.io\nlocked   b@x.io\n')
  expect(JSON.parse((await run('list', '--json')).stdout)).toEqual({
    path,
    emails: { 'a@x.io': 'active', 'b@x.io': 'locked' },
  })
})

it.each([
  ['not JSON', '{"emails":{'],
  ['a list', '[]'],
  ['no emails', '{}'],
  ['an unknown member', '{"emails":{},"domains":{}}'],
  ['an unknown standing', '{"emails":{"a@x.io":"admin"}}'],
  ['an address in capitals', '{"emails":{"A@x.io":"active"}}'],
  ['something that is no address', '{"emails":{"x.io":"active"}}'],
])('59: a file that is %s is refused and left as it is', async (_what, content) => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  for (const line of ['add b@x.io', 'remove a@x.io', 'lock a@x.io', 'unlock a@x.io', 'list']) {
    const { code, stderr } = await run(...line.split(' '))
    expect([line, code]).toEqual([line, 1])
    expect(stderr).toContain(path)
  }
  expect(readFileSync(path, 'utf8')).toBe(content)
})

it('finds the secrets of the server of the working directory, else of caracal up, else of the mode', async () => {
  env = { HOME: cwd, CARACAL_HOME: join(cwd, 'home') }
  const written = async () => /\((.*)\)/.exec((await run('list')).stdout)?.[1]?.replace(`${cwd}/`, '')
  expect(await written()).toBe('home/data/secrets/allowlist/operatorAllowlist.json')
  mkdirSync(join(cwd, '.caracal', 'secrets'), { recursive: true })
  expect(await written()).toBe('.caracal/secrets/allowlist/operatorAllowlist.json')
  env = { ...env, DATABASE_URL: 'postgres://x@localhost/x' }
  expect(await written()).toBe('home/secrets/allowlist/operatorAllowlist.json')
  writeFileSync(join(cwd, 'url'), 'postgres://x@localhost/x')
  for (const name of ['DATABASE_URL_FILE', 'CONTROL_DATABASE_URL']) {
    env = { HOME: cwd, CARACAL_HOME: join(cwd, 'home'), [name]: join(cwd, 'url') }
    expect(await written()).toBe('home/secrets/allowlist/operatorAllowlist.json')
  }
  env = { ...env, CARACAL_MODE: 'dev' }
  expect(await written()).toBe('home/dev-secrets/allowlist/operatorAllowlist.json')
})
