/** sdk-cli-console §16, check 58: nothing goes that was not named and confirmed. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, it } from 'vitest'
import { freePorts } from '../../src/server/free-ports.ts'
import { startCaracal, workingDirectory } from './process.ts'

const bin = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
let cwd: string
let home: string
let config: string

beforeEach(() => {
  cwd = workingDirectory()
  home = join(cwd, 'home')
  config = join(cwd, 'config')
  for (const directory of [join(home, 'data', 'pg'), join(home, 'data', 'secrets'), join(config, 'runtime')])
    mkdirSync(directory, { recursive: true })
  writeFileSync(join(home, 'caracal.log'), 'lines')
  writeFileSync(join(home, 'data', 'secrets', 'secretStoreKek'), 'x')
  writeFileSync(join(config, 'auth.json'), '{}')
})

const purge = (args: string[], input = '', env: Record<string, string> = {}) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'purge', ...args], {
    cwd,
    input,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, CARACAL_HOME: home, CARACAL_CONFIG_HOME: config, ...env },
  })
  return { code: status, stdout, stderr }
}
const everything = () =>
  [join(home, 'data', 'pg'), join(home, 'data', 'secrets'), join(config, 'auth.json')].map((path) =>
    existsSync(path),
  )

it('58: a dry run lists and changes nothing', () => {
  const { code, stdout } = purge(['all', '--dry-run'])
  expect(code).toBe(0)
  for (const path of ['pg', 'secrets', 'auth.json', 'caracal.log']) expect(stdout).toContain(path)
  expect(everything()).toEqual([true, true, true])
})

it('58: what cannot be got back needs the whole word', () => {
  expect(purge(['volumes'], 'y\n').code).toBe(1)
  expect(purge(['volumes'], '').code).toBe(1)
  expect(everything()).toEqual([true, true, true])
  expect(purge(['volumes'], 'yes\n').code).toBe(0)
  expect(everything()).toEqual([false, true, true])
})

it('evidence that waits for the store goes with it', () => {
  const journal = join(home, 'data', 'audit-replay', 'sts')
  mkdirSync(journal, { recursive: true })
  expect(purge(['safe', '-y']).code).toBe(0)
  expect(existsSync(journal)).toBe(true)
  expect(purge(['volumes', '-y']).code).toBe(0)
  expect(existsSync(join(home, 'data', 'audit-replay'))).toBe(false)
})

it('of the secrets directory only what was generated goes', () => {
  const other = join(home, 'data', 'secrets', 'other')
  writeFileSync(other, 'x')
  expect(purge(['secrets'], 'yes\n').code).toBe(0)
  expect([existsSync(other), existsSync(join(home, 'data', 'secrets', 'secretStoreKek'))]).toEqual([
    true,
    false,
  ])
})

it('the login of the store goes with the secrets, and those of another store stay', () => {
  const made = (directory: string) => {
    mkdirSync(directory, { recursive: true })
    for (const file of ['secretStoreKek', 'postgresPassword']) writeFileSync(join(directory, file), 'x')
    return () => ['secretStoreKek', 'postgresPassword'].map((file) => existsSync(join(directory, file)))
  }
  const embedded = made(join(home, 'data', 'secrets'))
  const stable = made(join(home, 'secrets'))
  expect(purge(['secrets', '-y'], '', { DATABASE_URL: 'postgres://x@localhost/x' }).code).toBe(0)
  expect([stable(), embedded()]).toEqual([
    [false, true],
    [true, true],
  ])
  const here = made(join(cwd, '.caracal', 'secrets'))
  mkdirSync(join(cwd, '.caracal', 'pg'))
  expect(purge(['secrets', 'volumes', '-y']).code).toBe(0)
  expect([here(), embedded(), existsSync(join(cwd, '.caracal', 'pg'))]).toEqual([
    [false, false],
    [true, true],
    false,
  ])
  expect(everything()).toEqual([true, true, true])
})

it('leaves a store alone that a server in the foreground uses', async () => {
  const [port] = await freePorts(1)
  const env = { CARACAL_HOME: home, CARACAL_DATA_DIR: join(cwd, 'own') }
  const server = startCaracal(['serve', '--single-port', String(port)], { cwd, env })
  await server.line('ready')
  for (const target of ['volumes', 'secrets'])
    expect(purge([target, '-y'], '', env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`in use by process ${server.child.pid}`),
    })
  expect(existsSync(join(cwd, 'own', 'secrets', 'secretStoreKek'))).toBe(true)
  server.child.kill('SIGTERM')
  expect((await server.finished).code).toBe(0)
  expect(purge(['volumes', '-y'], '', env).code).toBe(0)
  expect(existsSync(join(cwd, 'own', 'pg'))).toBe(false)
}, 60_000)

it('safe leaves store and secrets', () => {
  expect(purge(['--safe'], 'y\n').code).toBe(0)
  expect(everything()).toEqual([true, true, false])
  expect(readFileSync(join(home, 'caracal.log'), 'utf8')).toBe('')
})

it('says so where there is nothing to remove, and asks nothing', () => {
  expect(purge(['config'], 'y\n').code).toBe(0)
  const again = purge(['config'])
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect(again.stdout).toContain('there is nothing to remove')
  expect(purge(['config', '--dry-run']).stdout).toContain('there is nothing to remove')
})

it('follows a store that is kept elsewhere', () => {
  const away = join(workingDirectory(), 'embedded-x')
  mkdirSync(join(away, 'pg'), { recursive: true })
  expect(purge(['volumes', '-y']).code).toBe(0)
  symlinkSync(join(away, 'pg'), join(home, 'data', 'pg'))
  expect(purge(['volumes', '-y']).code).toBe(0)
  expect(existsSync(away)).toBe(false)
  // A link that somebody else made: only the cluster goes, never what lies beside it.
  const own = join(workingDirectory(), 'mine')
  mkdirSync(join(own, 'pg'), { recursive: true })
  symlinkSync(join(own, 'pg'), join(home, 'data', 'pg'))
  expect(purge(['volumes', '-y']).code).toBe(0)
  expect([existsSync(own), existsSync(join(own, 'pg'))]).toEqual([true, false])
})

it('58: a dry run over a database of your own connects to nothing and shows no password', () => {
  const { code, stdout, stderr } = purge(['all', '--dry-run'], '', {
    DATABASE_URL: 'postgres://me:hunter22@db.invalid:5432/mine',
    REDIS_URL: 'redis://:hunter22@redis.invalid:6379/2',
  })
  expect(code).toBe(0)
  expect(stdout).toContain('drop the tables of Caracal in db.invalid:5432/mine')
  expect(stdout).toContain('delete the keys and streams of Caracal in redis.invalid:6379/2')
  expect(stdout + stderr).not.toContain('hunter22')
  expect(everything()).toEqual([true, true, true])
})

it('unknown targets and no targets are refused', () => {
  expect(purge(['everything']).code).toBe(1)
  expect(purge([]).code).toBe(1)
  expect(purge(['images', '-y'])).toMatchObject({ code: 0, stdout: expect.stringContaining('skipped') })
})
