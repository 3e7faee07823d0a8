import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { documentVariables } from '../../src/config/env.ts'
import {
  ConfigError,
  type LoadOptions,
  loadSettings,
  parseRoles,
  UnknownRole,
} from '../../src/config/load.ts'
import { testKeys, testSettings } from '../fixtures/settings.ts'

const scratch = mkdtempSync(join(tmpdir(), 'caracal-config-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const stable = {
  ...testKeys,
  DATABASE_URL: 'postgres://u:p@db/caracal',
  ISSUER_URL: 'https://sts.example',
  AGENT_COORDINATOR_SCOPE: 'agent:lifecycle',
}

function problems(env: Record<string, string>, options: LoadOptions = {}): readonly string[] {
  try {
    loadSettings(env, { generateSecrets: false, ...options })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const without = (env: Record<string, string>, ...names: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)))

describe('mode and store', () => {
  it('check 1: CARACAL_MODE=prod names the variable and the three values', () => {
    expect(problems({ ...stable, CARACAL_MODE: 'prod' })).toEqual([
      'CARACAL_MODE must be one of dev, rc, stable',
    ])
  })

  it('is dev with the embedded store and stable with a DATABASE_URL', () => {
    expect(testSettings().CARACAL_MODE).toBe('dev')
    expect(loadSettings(stable).CARACAL_MODE).toBe('stable')
    expect(loadSettings({ ...stable, CARACAL_MODE: 'dev' }).CARACAL_MODE).toBe('dev')
  })

  it('check 8a: stable without DATABASE_URL names it', () => {
    const found = problems({ ...without(stable, 'DATABASE_URL'), CARACAL_MODE: 'stable' })
    expect(found).toEqual(['DATABASE_URL is required in stable mode'])
  })

  it('accepts a database for every role instead of the common one', () => {
    const env = { ...without(stable, 'DATABASE_URL'), AUDIT_DATABASE_URL: 'postgres://a@db/x' }
    expect(loadSettings(env, { roles: ['audit'] }).CARACAL_MODE).toBe('stable')
  })

  it('binds to loopback in dev only', () => {
    expect(testSettings().HOST).toBe('127.0.0.1')
    expect(loadSettings(stable).HOST).toBe('0.0.0.0')
  })
})

describe('keys', () => {
  it('check 2: STREAMS_HMAC_KEY missing, short or not hexadecimal', () => {
    const roles = ['coordinator'] as const
    const base = { ...stable, STS_URL: 'http://sts:8080' }
    expect(problems(without(base, 'STREAMS_HMAC_KEY'), { roles })).toEqual([
      'STREAMS_HMAC_KEY is required in stable mode',
    ])
    expect(problems({ ...base, STREAMS_HMAC_KEY: 'ab'.repeat(31) }, { roles })[0]).toMatch(
      /^STREAMS_HMAC_KEY must be at least 32 bytes/,
    )
    expect(problems({ ...base, STREAMS_HMAC_KEY: 'zz'.repeat(32) }, { roles })[0]).toBe(
      'STREAMS_HMAC_KEY must be hexadecimal',
    )
  })

  it('check 7: an unsafe KEK is refused, each kind with its own reason and never with its value', () => {
    // Over the highest byte: a count is one also where it wraps.
    const ascending = Buffer.from([...Array(32).keys()].map((n) => 250 + n)).toString('hex')
    const bad = {
      zero: '00'.repeat(32),
      repeated: '7a'.repeat(32),
      ascending,
      descending: Buffer.from([...Array(32).keys()].reverse()).toString('hex'),
      pairs: 'a1b2'.repeat(16),
      short: 'ab'.repeat(16),
      letters: 'zz'.repeat(32),
    }
    const reasons = Object.values(bad).map((SECRET_STORE_KEK) => {
      const [sentence, ...rest] = problems({ ...stable, SECRET_STORE_KEK })
      expect(rest).toEqual([])
      expect(sentence).toMatch(/^SECRET_STORE_KEK /)
      expect(sentence).not.toContain(SECRET_STORE_KEK)
      return sentence
    })
    expect(new Set(reasons).size).toBe(reasons.length)
  })
})

describe('reading', () => {
  it('check 3: three missing variables come in one error', () => {
    const env = without(stable, 'STREAMS_HMAC_KEY', 'IDEMPOTENCY_HMAC_KEY', 'ISSUER_URL')
    expect(problems({ ...env, STS_URL: 'http://sts:8080' }, { roles: ['coordinator'] }).toSorted()).toEqual([
      'IDEMPOTENCY_HMAC_KEY is required in stable mode',
      'ISSUER_URL is required in stable mode',
      'STREAMS_HMAC_KEY is required in stable mode',
    ])
  })

  it('check 4: a secret may come from a file; the variable wins; an empty file is an error', () => {
    const file = join(scratch, 'url')
    writeFileSync(file, 'postgres://from@file/db\n')
    const env = without(stable, 'DATABASE_URL')
    expect(loadSettings({ ...env, DATABASE_URL_FILE: file }).DATABASE_URL).toBe('postgres://from@file/db')
    expect(loadSettings({ ...stable, DATABASE_URL_FILE: file }).DATABASE_URL).toBe(stable.DATABASE_URL)
    writeFileSync(file, '\n')
    expect(problems({ ...env, DATABASE_URL_FILE: file })).toEqual(['DATABASE_URL_FILE names an empty file'])
    expect(problems({ ...env, DATABASE_URL_FILE: join(scratch, 'none') })[0]).toMatch(
      /^DATABASE_URL_FILE .*ENOENT/,
    )
  })

  it('check 5: numbers and durations are read whole and within their bounds', () => {
    expect(problems({ ...stable, OUTBOX_BATCH_SIZE: '10abc' })).toEqual([
      'OUTBOX_BATCH_SIZE must be an integer',
    ])
    expect(problems({ ...stable, OPA_POLL_SECONDS: '301' })).toEqual(['OPA_POLL_SECONDS must be at most 300'])
    expect(problems({ ...stable, READ_TIMEOUT: '30s' })[0]).toMatch(/^READ_TIMEOUT must be longer/)
    expect(problems({ ...stable, STS_TIMEOUT: 'abc' })[0]).toMatch(/^STS_TIMEOUT must be a duration/)
    expect(loadSettings({ ...stable, READ_TIMEOUT: '1m30s' }).READ_TIMEOUT).toBe(90_000)
    for (const none of ['0', '0s'])
      expect(loadSettings({ ...stable, STREAM_IDLE_TIMEOUT: none }).STREAM_IDLE_TIMEOUT).toBe(0)
    expect(problems({ ...stable, STS_TIMEOUT: '0' })).toEqual(['STS_TIMEOUT must be at least 1 ms'])
    expect(loadSettings({ ...stable, SHUTDOWN_GRACE_MS: '2s' }).SHUTDOWN_GRACE_MS).toBe(2000)
    expect(loadSettings({ ...stable, AUDIT_READY_DLQ_MAX: '0' }).AUDIT_READY_DLQ_MAX).toBe(0)
  })

  it('takes an empty value for unset and knows every spelling of a boolean', () => {
    expect(loadSettings({ ...stable, DB_POOL_MAX: '' }).DB_POOL_MAX).toBe(20)
    expect(loadSettings({ ...stable, TRUST_PROXY: 'On' }).TRUST_PROXY).toBe(true)
    expect(problems({ ...stable, TRUST_PROXY: 'maybe' })[0]).toMatch(/^TRUST_PROXY must be one of/)
  })

  it('accepts the older names', () => {
    const loaded = loadSettings({
      ...stable,
      DB_MAX_CONNS: '7',
      DB_CONNECT_TIMEOUT: '9s',
      OUTBOX_POLL_MS: '250',
      CARACAL_STS_PORT: '18080',
      LOG_LEVEL: 'debug',
      CARACAL_LOG_LEVEL: 'warn',
    })
    expect(loaded).toMatchObject({
      DB_POOL_MAX: 7,
      DB_CONNECTION_TIMEOUT_MS: 9000,
      OUTBOX_INTERVAL_MS: 250,
      STS_PORT: 18_080,
      LOG_LEVEL: 'warn',
    })
  })

  it('judges only the variables of the selected roles', () => {
    expect(problems({ ...stable, OPA_POLL_SECONDS: '301' }, { roles: ['audit'] })).toEqual([])
  })
})

describe('unsafe combinations', () => {
  it('check 6: insecure switches outside dev', () => {
    expect(problems({ ...stable, JTI_FAIL_OPEN: 'true' })).toEqual([
      'JTI_FAIL_OPEN must not be true in stable mode',
    ])
    expect(problems({ ...stable, INSECURE_HTTP: '1' })).toEqual([
      'INSECURE_HTTP must not be true in stable mode',
    ])
    expect(problems({ ...stable, INSECURE_STS: 'yes', CARACAL_MODE: 'rc' })[0]).toContain('rc mode')
  })

  it('a split gateway reaches the sts over https or inside the cluster', () => {
    const roles = ['gateway'] as const
    expect(problems({ ...stable, STS_URL: 'http://public.example' }, { roles })[0]).toMatch(
      /^STS_URL must use https/,
    )
    for (const url of ['http://sts:8080', 'http://127.0.0.1:1', 'http://[::1]:1', 'https://sts.example'])
      expect(problems({ ...stable, STS_URL: url }, { roles })).toEqual([])
    expect(problems(stable, { roles })).toEqual(['STS_URL is required in stable mode'])
  })

  it('the shared revocation store is kept where resource servers look', () => {
    expect(problems({ ...stable, REVOCATION_STORE_WRITER: 'true', REDIS_URL: '' })).toEqual([
      'REVOCATION_STORE_WRITER needs REDIS_URL, where resource servers look',
    ])
    const redis = { REDIS_URL: 'redis://r:6379', REVOCATION_STORE_WRITER: 'true' }
    expect(problems({ ...stable, ...redis })).toEqual([])
  })

  it('needs both TLS files or none', () => {
    expect(problems({ ...stable, TLS_CERT_FILE: '/c' })[0]).toMatch(/^TLS_CERT_FILE and TLS_KEY_FILE/)
  })
})

describe('roles and ports', () => {
  it('check 8: default ports, PORT for one role only', () => {
    const warnings: string[] = []
    const all = loadSettings({ ...stable, PORT: '5' }, { warn: (message) => warnings.push(message) })
    expect([
      all.CONTROL_PORT,
      all.CONSOLE_PORT,
      all.COORDINATOR_PORT,
      all.STS_PORT,
      all.GATEWAY_PORT,
      all.AUDIT_PORT,
    ]).toEqual([3000, 3001, 4000, 8080, 8081, 9090])
    expect(warnings[0]).toMatch(/^PORT is ignored/)
    expect(loadSettings({ ...stable, PORT: '18080' }, { roles: ['sts'] }).STS_PORT).toBe(18_080)
    expect(problems({ ...stable, STS_PORT: '70000' })).toEqual(['STS_PORT must be at most 65535'])
  })

  it('check 9: unknown role', () => {
    expect(() => parseRoles('sts,guard')).toThrow(UnknownRole)
    expect(parseRoles('gateway, sts')).toEqual(['sts', 'gateway'])
    expect(parseRoles('all')).toHaveLength(5)
  })

  it('derives the URLs of roles that run here', () => {
    const loaded = loadSettings({ ...stable, STS_PORT: '1234' })
    expect(loaded.STS_URL).toBe('http://localhost:1234')
    expect(problems({ ...stable, STS_URL: 'http://sts:1' }, { roles: ['control'] }).toSorted()).toEqual([
      'CARACAL_COORDINATOR_URL is required in stable mode',
      'CARACAL_GATEWAY_URL is required in stable mode',
    ])
  })
})

describe('generated secrets', () => {
  it('are made once, for their owner only, and without a metrics bearer', () => {
    const CARACAL_DATA_DIR = join(scratch, 'data')
    const first = loadSettings({ CARACAL_DATA_DIR })
    const second = loadSettings({ CARACAL_DATA_DIR })
    expect(second).toEqual(first)
    expect(first.SECRET_STORE_KEK).toMatch(/^[0-9a-f]{64}$/)
    expect(first.METRICS_BEARER).toBeNull()
    const directory = join(CARACAL_DATA_DIR, 'secrets')
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    const files = readdirSync(directory).toSorted()
    expect(files).toEqual([
      'auditHmacKey',
      'caracalAdminToken',
      'caracalCoordinatorToken',
      'gatewayStsHmacKey',
      'idempotencyHmacKey',
      'secretStoreKek',
      'streamsHmacKey',
    ])
    for (const file of files) {
      expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600)
      expect(readFileSync(join(directory, file), 'utf8')).toMatch(/^[0-9a-f]{64}$/)
    }
  })

  it('a given value wins over the file, and stable mode never makes one', () => {
    const CARACAL_DATA_DIR = join(scratch, 'data')
    expect(loadSettings({ CARACAL_DATA_DIR, ...testKeys }).SECRET_STORE_KEK).toBe(testKeys.SECRET_STORE_KEK)
    const CARACAL_SECRETS_DIR = join(scratch, 'stable')
    const env = { ...without(stable, 'SECRET_STORE_KEK'), CARACAL_SECRETS_DIR }
    expect(() => loadSettings(env)).toThrow('SECRET_STORE_KEK is required in stable mode')
  })
})

it('documents every variable once with a sentence', () => {
  const rows = documentVariables()
  expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length)
  for (const row of rows) expect(row.doc, row.name).toMatch(/\.$/)
})
