import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createGuesses } from '../../../src/roles/control/guesses.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const log = pino({ level: 'silent' })
let database: TestDatabase
let ephemera: Ephemera
beforeAll(async () => {
  database = await createTestDatabase()
  ephemera = createPostgresEphemera({ db: database.db, log })
})
afterAll(async () => {
  await ephemera[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const guesses = () => createGuesses({ ephemera, log }, 'test')
const right = async () => 'account'
const wrong = async () => null
const closed = { code: 'rate_limited', status: 429 }

test('who knows the password is never refused for coming often at once', async () => {
  const { attempt } = guesses()
  const proofs = Array.from({ length: 20 }, () => attempt('busy', right))
  expect(new Set(await Promise.all(proofs))).toEqual(new Set(['account']))
})

test('guesses made at once get no further than five, in two replicas neither', async () => {
  const name = uuidv7()
  const replicas = [guesses(), guesses()]
  let looked = 0
  const guess = () => {
    looked += 1
    return wrong()
  }
  const answers = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => replicas[n % 2]?.attempt(name, guess)),
  )
  expect(looked).toBe(5)
  const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
  expect(refused).toHaveLength(15)
  for (const reason of refused) expect(reason).toMatchObject(closed)
  await expect(replicas[0]?.attempt(name, right)).rejects.toMatchObject(closed)
})

test('a success ends the row, an attempt that broke off is none', async () => {
  const name = uuidv7()
  const { attempt } = guesses()
  for (let n = 0; n < 4; n += 1) expect(await attempt(name, wrong)).toBeNull()
  const broken = () => Promise.reject(new Error('the caller left'))
  for (let n = 0; n < 3; n += 1) await expect(attempt(name, broken)).rejects.toThrow('the caller left')
  expect(await attempt(name, right)).toBe('account')
  for (let n = 0; n < 4; n += 1) expect(await attempt(name, wrong)).toBeNull()
  expect(await attempt(name, right)).toBe('account')
})

test('fifteen minutes run from the fifth failure', async () => {
  const name = uuidv7()
  const { attempt } = guesses()
  const pass = (minutes: number) => database.admin`
    update ephemera set expires_at = expires_at - make_interval(mins => ${minutes}) where key like ${`%${name}`}`
  for (let n = 0; n < 4; n += 1) await attempt(name, wrong)
  await pass(14)
  await attempt(name, wrong)
  await pass(14)
  await expect(attempt(name, right)).rejects.toMatchObject(closed)
  await pass(1)
  expect(await attempt(name, right)).toBe('account')
})
