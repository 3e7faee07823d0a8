/** `caracal up`, `logs` and `down` as a person uses them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { isAlive } from '../../src/cli/background/process.ts'
import { roleNames } from '../../src/platform/role.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { certificate, certificateKey } from '../fixtures/tls-server.ts'
import { runCaracal, startCaracal, workingDirectory } from './process.ts'

let env: Record<string, string> = {}
let cwd = ''
const run = (...args: string[]) => runCaracal(args, { env, cwd })

afterEach(() => run('down'))

it('starts, tells, and ends', async () => {
  cwd = workingDirectory()
  const listeners = [...roleNames, 'console']
  const ports = await freePorts(listeners.length)
  const home = join(cwd, 'home')
  env = {
    CARACAL_HOME: home,
    ...Object.fromEntries(listeners.map((name, at) => [`${name.toUpperCase()}_PORT`, String(ports[at])])),
    TLS_CERT_FILE: join(cwd, 'certificate'),
    TLS_KEY_FILE: join(cwd, 'key'),
  }
  writeFileSync(join(cwd, 'certificate'), certificate)
  writeFileSync(join(cwd, 'key'), certificateKey)
  expect((await run('logs')).code).toBe(1)
  expect((await run('down')).code).toBe(0)

  const up = await run('up')
  expect(up.code, up.stderr).toBe(0)
  expect(up.stdout).toContain('ready (pid')
  const pid = Number(readFileSync(join(home, 'caracal.pid'), 'utf8'))
  expect(isAlive(pid)).toBe(true)
  const again = await run('up')
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(`already running (pid ${pid})`) })

  for (const command of ['status', 'healthcheck']) expect((await run(command)).code, command).toBe(0)

  // The operator's commands find the token of the server on this host by themselves.
  env.CARACAL_API_URL = `http://localhost:${ports[listeners.indexOf('control')]}`
  expect((await run('api', 'zones')).code).toBe(0)

  const logs = await run('logs', '--lines', '500', '--role', 'gateway')
  const lines = logs.stdout.trim().split('\n')
  expect(lines.length).toBeGreaterThan(0)
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ service: 'gateway' })
  expect((await run('logs', '--lines', '1')).stdout.trim().split('\n')).toHaveLength(1)
  const following = startCaracal(['logs', '-f', '--lines', '0'], { env, cwd })
  const heard = new Promise((resolve) => following.child.stdout?.once('data', resolve))
  await run('api', 'zones')

  const upgraded = await run('upgrade', '--no-pull')
  expect(upgraded.code, upgraded.stderr).toBe(0)
  const successor = Number(readFileSync(join(home, 'caracal.pid'), 'utf8'))
  expect([successor === pid, isAlive(pid), isAlive(successor)]).toEqual([false, false, true])
  expect((await run('api', 'zones')).code).toBe(0)

  const pages = await run('web', '--web-port', '3001', '--build')
  expect(pages.code).toBe(0)
  expect(pages.stdout).toContain(`${env.CARACAL_API_URL}/console`)
  expect((await fetch(`${env.CARACAL_API_URL}/console`)).status).toBe(200)
  expect(pages.stderr).toMatch(/--web-port is ignored.*\n.*--build is ignored/)

  const down = await run('down', '-v')
  expect(down, down.stderr).toMatchObject({ code: 0 })
  await heard
  following.child.kill('SIGINT')
  expect((await following.finished).code).toBe(0)
  expect(down.stdout).toContain('-v removes the volumes of caracal up --with-deps, and there are none')
  expect(isAlive(successor)).toBe(false)
  expect(existsSync(join(home, 'caracal.pid'))).toBe(false)
  expect(existsSync(join(home, 'data', 'pg'))).toBe(true)
  expect((await run('web')).code).toBe(1)
}, 90_000)

it('is not taken in by another server on its port', async () => {
  cwd = workingDirectory()
  const other = createServer((_request, response) => response.end('{}'))
  await new Promise<void>((resolve) => other.listen(0, 'localhost', resolve))
  const { port } = other.address() as AddressInfo
  env = { CARACAL_HOME: join(cwd, 'home'), CARACAL_SINGLE_PORT: String(port), HOST: 'localhost' }
  try {
    const up = await run('up')
    expect(up.code, up.stdout).toBe(1)
    expect(up.stderr).toContain(String(port))
    expect(existsSync(join(cwd, 'home', 'caracal.pid'))).toBe(false)
  } finally {
    other.close()
  }
}, 60_000)

it('migrates a store of your own, however it is named', async () => {
  cwd = workingDirectory()
  writeFileSync(join(cwd, 'url'), 'postgres://x@127.0.0.1:1/x')
  env = {
    CARACAL_HOME: join(cwd, 'home'),
    DATABASE_URL_FILE: join(cwd, 'url'),
    MIGRATION_CONNECT_RETRIES: '0',
  }
  const up = await run('up')
  expect(up.code).toBe(1)
  expect(up.stderr).toContain('the schema could not be brought to this release')
})

it('says why a server that cannot start does not', async () => {
  cwd = workingDirectory()
  env = { CARACAL_HOME: join(cwd, 'home'), CARACAL_MODE: 'nonsense' }
  const up = await run('up')
  expect(up.code).toBe(1)
  expect(up.stderr).toContain('CARACAL_MODE')
})
