import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { CaracalError } from '../../../src/platform/errors.ts'
import { createLogger, type LoggerOptions } from '../../../src/platform/observe/logger.ts'
import { isSecretName, redactText } from '../../../src/platform/observe/redact.ts'

function capture(overrides: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const logger = createLogger({
    level: 'debug',
    env: 'test',
    version: '0.0.0',
    maxFieldBytes: 8192,
    sampleDebug: 1,
    destination: { write: (line) => void lines.push(line) },
    ...overrides,
  })
  return {
    logger,
    lines,
    last: () => JSON.parse(lines.at(-1) as string) as Record<string, unknown>,
  }
}

const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLWJ5dGVz'
const pem = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({
  type: 'sec1',
  format: 'pem',
}) as string

describe('log lines', () => {
  test('have level, ISO time, process facts, service and msg', () => {
    const { logger, last } = capture()
    logger.log.child({ service: 'sts' }).info({ zone_id: 'z1' }, 'minted')
    expect(last()).toMatchObject({
      level: 'info',
      service: 'sts',
      env: 'test',
      version: '0.0.0',
      zone_id: 'z1',
      msg: 'minted',
    })
    expect(last().time).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
    expect(last()).toHaveProperty('pid')
    expect(last()).toHaveProperty('hostname')
  })

  test('of no role are those of the process, and name their service once', () => {
    const { logger, lines, last } = capture({ service: 'gateway' })
    logger.log.info('ready')
    expect(last().service).toBe('gateway')
    logger.log.child({ worker: 2 }).child({ service: 'sts' }).info('minted')
    expect(last()).toMatchObject({ service: 'sts', worker: 2, env: 'test', pid: process.pid })
    expect(last()).toHaveProperty('hostname')
    expect(lines.at(-1)?.match(/"service":/g)).toHaveLength(1)
    const unnamed = capture()
    unnamed.logger.log.info('ready')
    expect(unnamed.last().service).toBe('caracal')
  })

  test('an error becomes name, message, stack, code and cause', () => {
    const { logger, last } = capture()
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    logger.log.error(
      {
        err: new CaracalError('sts_unavailable', {
          status: 503,
          message: 'sts unavailable',
          detail: 'why',
          cause,
        }),
      },
      'failed',
    )
    expect(last().err).toMatchObject({
      name: 'CaracalError',
      message: 'sts unavailable',
      code: 'sts_unavailable',
      detail: 'why',
      cause: { message: 'refused', code: 'ECONNREFUSED' },
    })
    logger.log.error(new Error('bare'))
    expect(last()).toMatchObject({ err: { message: 'bare' }, msg: 'bare' })
  })

  test('an unknown level means info', () => {
    const { logger } = capture({ level: 'verbose' })
    expect(logger.log.level).toBe('info')
  })

  test('debug lines are sampled and counted', () => {
    const { logger, lines } = capture({ sampleDebug: 5 })
    for (let i = 0; i < 20; i++) logger.log.debug({ i }, 'tick')
    logger.log.info('once')
    expect(lines).toHaveLength(5)
    expect(logger.counters()).toEqual({ emitted: 5, dropped: 0, sampled: 16 })
  })

  test('long fields are cut at a character', () => {
    const { logger, last } = capture({ maxFieldBytes: 10 })
    logger.log.info({ note: 'äöüäöüäöü' }, 'x')
    expect(last().note).toBe('äöüäö…[truncated]')
  })

  test('a circular object does not break the line', () => {
    const { logger, last } = capture()
    const loop: Record<string, unknown> = {}
    loop.self = loop
    logger.log.info({ loop }, 'x')
    expect(last().msg).toBe('x')
  })
})

describe('redaction', () => {
  const secrets: readonly (readonly [string, string])[] = [
    ['bearer', 'Authorization: Bearer abcdefghijklmnop1234'],
    ['jwt', `token ${jwt} was refused`],
    ['aws', 'key AKIAIOSFODNN7EXAMPLE rejected'],
    ['gcp', `key AIza${'a'.repeat(35)} rejected`],
    ['github', `pat ghp_${'a'.repeat(36)} rejected`],
    ['slack', 'hook xoxb-123456789012-abcdef rejected'],
    ['pem', `loaded ${pem}`],
    ['query', 'GET https://api.example.com/v1?api_key=abc&x=1 failed'],
    ['ours', `client cs_${'A'.repeat(43)} failed`],
  ]
  const visible: Record<string, string> = {
    bearer: 'abcdefghijklmnop1234',
    jwt,
    aws: 'AKIAIOSFODNN7EXAMPLE',
    gcp: `AIza${'a'.repeat(35)}`,
    github: `ghp_${'a'.repeat(36)}`,
    slack: 'xoxb-123456789012-abcdef',
    pem: pem.split('\n')[1] as string,
    query: 'api_key=abc',
    ours: `cs_${'A'.repeat(43)}`,
  }

  test.each([
    ['/&aa=&', 'secret'],
    ['/&aa=', '&token'],
    ['/', '-eyJaaaaa'],
    ['/', '-----BEGIN PRIVATE '],
    ['/&aa=', 'bearer '],
  ])('a text of %s and many %j costs what its length costs', (start, word) => {
    const text = start + word.repeat(Math.ceil(400_000 / word.length))
    const began = performance.now()
    expect(redactText(text, 0)).toBe(text)
    // A walk from each word takes seconds.
    expect(performance.now() - began).toBeLessThan(1000)
  })

  test.each(secrets)('%s never appears, wherever it is put', (kind, text) => {
    const { logger, lines } = capture()
    logger.log.info(text)
    logger.log.info({ note: text }, 'x')
    logger.log.info({ deep: { list: [text] } }, 'x')
    logger.log.error({ err: new Error(text, { cause: new Error(text) }) }, text)
    logger.log.child({ note: text }).info('x')
    logger.log.error(new Error(text))
    logger.log.error({ err: new Error(text) })
    logger.log.info('formatted %s and %o', text, { note: text })
    expect(lines).toHaveLength(8)
    expect(lines.join('')).not.toContain(visible[kind])
  })

  test.each([
    'client_secret',
    'Authorization',
    'set-cookie',
    'Set_Cookie',
    'x-api-key',
    'refresh_token',
    'private_key',
    'session_id',
    'GATEWAY_STS_HMAC_KEY',
    'admin_password',
    'client_assertion',
    'X-Caracal-Gateway-Signature',
  ])('field %s is masked at any depth', (name) => {
    const { logger, lines } = capture()
    logger.log.info({ [name]: 'short', deep: { [name]: { a: 'short' } } }, 'x')
    expect(lines.join('')).not.toContain('short')
  })

  test.each(['agent_session_id', 'authority_record_id', 'zone_id', 'request_id', 'status'])(
    'field %s is shown',
    (name) => {
      expect(isSecretName(name)).toBe(false)
    },
  )

  test('bytes are never shown', () => {
    const { logger, lines } = capture()
    logger.log.info({ material: Buffer.from('plain text key') }, 'x')
    expect(lines.join('')).toContain('"material":"***"')
  })
})
