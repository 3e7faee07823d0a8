/** `caracal up --with-deps` and `down -v`: what is asked of Docker. The program `docker` here writes down what it is asked. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { isAlive } from '../../src/cli/background/process.ts'
import { roleNames } from '../../src/platform/role.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { openRedisServer } from '../platform/bus/redis-server.ts'
import { externalPostgres } from '../server/store.ts'
import { runCaracal, workingDirectory } from './process.ts'

/** Containers and volumes are files of a directory; `fail` makes the next start fail. */
const program = `#!/bin/sh
echo "$*" >> "$DOCKER_STATE/log"
case "$1 $2" in
  "version "*) echo 28 ;;
  "container inspect") cat "$DOCKER_STATE/$5" 2>/dev/null ;;
  "run --detach")
    if [ -e "$DOCKER_STATE/fail" ]; then echo "no such image" >&2; exit 125; fi
    [ -n "$POSTGRES_PASSWORD$REDIS_PASSWORD" ] || exit 1
    echo true > "$DOCKER_STATE/$4" ;;
  "start "*) echo true > "$DOCKER_STATE/$2" ;;
  "stop "*) echo false > "$DOCKER_STATE/$2" ;;
  "rm --force") rm -f "$DOCKER_STATE/$4" ;;
  "volume rm") echo "Error: No such volume: $4" >&2; exit 1 ;;
  *) exit 64 ;;
esac
`

let cwd: string
let home: string
let state: string
let env: Record<string, string>
beforeEach(() => {
  cwd = workingDirectory()
  home = join(cwd, 'home')
  state = join(cwd, 'docker-state')
  const bin = join(cwd, 'bin')
  for (const directory of [home, state, bin]) mkdirSync(directory)
  writeFileSync(join(bin, 'docker'), program)
  chmodSync(join(bin, 'docker'), 0o755)
  env = { CARACAL_HOME: home, DOCKER_STATE: state, PATH: `${bin}:${process.env.PATH}` }
})
const run = (...args: string[]) => runCaracal(args, { env, cwd })
const asked = () => readFileSync(join(state, 'log'), 'utf8').trim().split('\n')

it('starts both on loopback, keeps their passwords out of every command line, and removes them with -v', async () => {
  // The containers are made; a schema cannot, since nothing listens behind these.
  env.MIGRATION_CONNECT_RETRIES = '0'
  const up = await run('up', '--with-deps')
  expect(up.code).toBe(1)
  expect(up.stderr).toContain('the schema could not be brought to this release')
  const [, , postgres, , redis] = asked()
  expect(postgres).toMatch(
    /^run --detach --name (caracal-[0-9a-f]{8}-postgres) --publish 127\.0\.0\.1:\d+:5432 --volume \1:\/var\/lib\/postgresql --env POSTGRES_USER=caracal --env POSTGRES_DB=caracal --env POSTGRES_PASSWORD postgres:18$/,
  )
  expect(redis).toMatch(
    /^run --detach --name (caracal-[0-9a-f]{8}-redis) --publish 127\.0\.0\.1:\d+:6379 --volume \1:\/data --env REDIS_PASSWORD redis:8 sh -c exec redis-server --appendonly yes --requirepass "\$REDIS_PASSWORD"$/,
  )
  const file = join(home, 'dependencies.env')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const password = /caracal:(\w{48})@/.exec(readFileSync(file, 'utf8'))?.[1] ?? 'none'
  expect(readFileSync(join(state, 'log'), 'utf8') + up.stdout + up.stderr).not.toContain(password)

  const name = postgres?.split(' ')[3] ?? ''
  expect((await run('down')).stdout).toContain(`stopped ${name}`)
  expect(readFileSync(join(state, name), 'utf8')).toBe('false\n')
  // Remembered without the flag, and not made anew.
  await run('up')
  expect(asked()).toContain(`start ${name}`)
  expect(asked().filter((line) => line.startsWith('run'))).toHaveLength(2)

  const down = await run('down', '-v')
  expect(down).toMatchObject({ code: 0, stdout: expect.stringContaining(`removed ${name}`) })
  expect(asked().slice(-4)).toEqual(
    [name, name.replace('postgres', 'redis')].flatMap((one) => [
      `rm --force --volumes ${one}`,
      `volume rm --force ${one}`,
    ]),
  )
  expect([existsSync(file), existsSync(join(state, name))]).toEqual([false, false])
})

it('says what is missing, and starts nothing', async () => {
  writeFileSync(join(state, 'fail'), '')
  const refused = await run('up', '--with-deps')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/Docker could not start caracal-\w+-postgres: no such image/)
  env.PATH = join(cwd, 'empty')
  const absent = await run('up', '--with-deps')
  expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining('Docker is not installed') })
  env.DATABASE_URL = 'postgres://x@localhost/x'
  const both = await run('up')
  expect(both).toMatchObject({ code: 1, stderr: expect.stringContaining('unset it, or caracal down -v') })
  expect(existsSync(join(home, 'caracal.pid'))).toBe(false)
})

it('the server runs on the stores that it kept', async () => {
  await using postgres = await externalPostgres()
  await using redis = await openRedisServer()
  const url = new URL(await postgres.emptyDatabase())
  expect(url.username).toBe('caracal')
  writeFileSync(
    join(home, 'dependencies.env'),
    `DATABASE_URL=postgres://caracal:${url.password}@127.0.0.1:${url.port}/caracal\nREDIS_URL=redis://:secret@127.0.0.1:${redis.port}\nCARACAL_MODE=dev\n`,
  )
  const listeners = [...roleNames, 'console']
  const ports = await freePorts(listeners.length)
  listeners.forEach((name, at) => {
    env[`${name.toUpperCase()}_PORT`] = String(ports[at])
  })
  const up = await run('up')
  expect(up.code, up.stdout + up.stderr).toBe(0)
  expect(up.stdout).toContain('administrator token: ')
  expect((await run('logs')).stdout).toContain('"store":"postgres"')
  const pid = () => Number(readFileSync(join(home, 'caracal.pid'), 'utf8'))
  const before = pid()
  const sound = env
  env = { ...env, MIGRATION_DATABASE_URL: 'postgres://x@127.0.0.1:1/x', MIGRATION_CONNECT_RETRIES: '0' }
  const failed = await run('upgrade')
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('the running server goes on') })
  expect([pid(), isAlive(before)]).toEqual([before, true])
  env = sound
  const upgraded = await run('upgrade')
  expect([pid() === before, isAlive(before)]).toEqual([false, false])
  expect(upgraded.code, upgraded.stderr).toBe(0)
  expect((await run('down')).code).toBe(0)
}, 120_000)
