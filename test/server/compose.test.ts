/** The deployment files: every service of docker-compose.yml has the configuration its role demands. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadSettings, parseRoles } from '../../src/config/load.ts'
import { workingDirectory } from '../cli/process.ts'

interface Service {
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: readonly string[]
}

const root = new URL('../../', import.meta.url)
const compose = parse(readFileSync(new URL('docker-compose.yml', root), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, unknown>>
}
const roles = ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const

/** The environment of a service with its secrets as files, interpolation resolved to its defaults. */
function environmentOf(service: Service): Record<string, string> {
  const directory = workingDirectory()
  const contents: Readonly<Record<string, string>> = {
    database_url: 'postgres://caracal_server:x@postgres:5432/caracal',
    database_owner_url: 'postgres://caracal:x@postgres:5432/caracal',
    redis_url: 'redis://:x@redis:6379',
  }
  for (const name of service.secrets ?? [])
    writeFileSync(
      join(directory, name),
      `${contents[name] ?? `0123456789abcdef${name.length}`.padEnd(64, '7')}`,
    )
  return Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([name, value]) => [
      name,
      value.replace('/run/secrets', directory).replace(/\$\{\w+:-([^}]*)\}/, '$1'),
    ]),
  )
}

describe('docker-compose.yml', () => {
  it.each(roles)('role %s starts in stable mode on Redis', (role) => {
    const env = environmentOf(compose.services[role] ?? {})
    expect(parseRoles(env.CARACAL_ROLE ?? '')).toEqual([role])
    const settings = loadSettings(env)
    expect(settings.CARACAL_MODE).toBe('stable')
    expect(settings.REDIS_URL).toMatch(/^redis:/)
    expect(settings.METRICS_BEARER).not.toBeNull()
  })

  it("migrates with the owner's login, and only with it", () => {
    const { migrate } = compose.services
    expect(migrate?.command).toEqual(['migrate'])
    const settings = loadSettings(environmentOf(migrate ?? {}), { roles: [] })
    expect(settings.MIGRATION_DATABASE_URL).toMatch(/caracal:x@/)
    for (const role of roles) expect(compose.services[role]?.secrets).not.toContain('database_owner_url')
  })

  it('declares every secret it uses', () => {
    const used = Object.values(compose.services).flatMap((service) => service.secrets ?? [])
    expect(Object.keys(compose.secrets).toSorted()).toEqual([...new Set(used)].toSorted())
  })
})

describe('Dockerfile', () => {
  it('copies only what .dockerignore lets through', () => {
    const allowed = readFileSync(new URL('.dockerignore', root), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const copied = readFileSync(new URL('Dockerfile', root), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1))
    for (const path of copied) expect(allowed).toContain(path)
  })
})
