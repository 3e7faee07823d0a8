import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createCredentialHasher } from '../../../src/platform/crypto/credentials.ts'
import { createDerivationQueue } from '../../../src/platform/crypto/derivation-queue.ts'

const credentialKey = Buffer.from('629e47fc149a53fac4809c3b23103609b5e3bdd07b189bd7dc565e0b3bc61fb5', 'hex')
const secret = 'cs_example-secret'
const generated = 'hmac-sha256$98a4095a753363c0$UhT3dK9x5Ueye3Fmp4DIpSf4xcjmVgZ251ez6KWzpFU'
const chosen = 'scrypt$32768$8$1$AAECAwQFBgcICQoLDA0ODw$1fbdkmCzGrWfxPlKd3quQwuhLwTW+z8dAPyq3fAQChg'
const hasher = createCredentialHasher({ credentialKey, concurrency: 2 })

describe('stored credential hashes (storage-and-operations §9.3)', () => {
  test('vector: generated', async () => {
    expect(hasher.hashGenerated(secret)).toBe(generated)
    expect(await hasher.verify(secret, generated)).toBe(true)
    expect(await hasher.verify(`${secret}x`, generated)).toBe(false)
  })

  test('vector: chosen', async () => {
    expect(await hasher.verify(secret, chosen)).toBe(true)
    expect(await hasher.verify(`${secret}x`, chosen)).toBe(false)
  })

  test('a chosen secret is salted and verifies', async () => {
    const [first, second] = await Promise.all([
      hasher.hashChosen('passphrase'),
      hasher.hashChosen('passphrase'),
    ])
    expect(first).not.toBe(second)
    expect(first).toMatch(/^scrypt\$32768\$8\$1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(await hasher.verify('passphrase', first)).toBe(true)
  })

  test('the lookup value is the mac', () => {
    expect(hasher.lookup(secret).toString('base64').replace(/=+$/, '')).toBe(generated.split('$')[2])
  })

  test.each([
    null,
    '',
    secret,
    'argon2id$AAECAwQFBgcICQoLDA0ODw$LzIno7ZeEyKOimo026B9kd2CQse0fuUZdzzPUUgLxYM',
    generated.replace('98a4095a753363c0', '98a4095a753363c1'),
    generated.slice(0, -1),
    `${generated}=`,
    generated.toUpperCase(),
    'scrypt$32768$8$1$AAECAwQFBgcICQoLDA0ODw$',
    'scrypt$32767$8$1$AAECAwQFBgcICQoLDA0ODw$1fbdkmCzGrWfxPlKd3quQwuhLwTW+z8dAPyq3fAQChg',
    'scrypt$999999$8$1$AAECAwQFBgcICQoLDA0ODw$1fbdkmCzGrWfxPlKd3quQwuhLwTW+z8dAPyq3fAQChg',
  ])('%s verifies nothing', async (stored) => {
    expect(await hasher.verify(secret, stored)).toBe(false)
  })

  test('the empty secret verifies nothing', async () => {
    expect(await hasher.verify('', hasher.hashGenerated(''))).toBe(false)
  })

  test('another credential key verifies nothing', async () => {
    const other = createCredentialHasher({ credentialKey: randomBytes(32), concurrency: 1 })
    expect(await other.verify(secret, generated)).toBe(false)
  })

  test('without a credential key only chosen secrets are checked', async () => {
    const keyless = createCredentialHasher({ credentialKey: null, concurrency: 1 })
    expect(await keyless.verify(secret, chosen)).toBe(true)
    expect(await keyless.verify(secret, generated)).toBe(false)
    expect(() => keyless.hashGenerated(secret)).toThrow('no credential key')
  })

  test('a success is remembered, a failure is not', async () => {
    const fresh = createCredentialHasher({ credentialKey, concurrency: 1 })
    const cold = process.cpuUsage()
    await fresh.verify(secret, chosen)
    const once = process.cpuUsage(cold).user
    const warm = process.cpuUsage()
    for (let i = 0; i < 50; i++) expect(await fresh.verify(secret, chosen)).toBe(true)
    expect(process.cpuUsage(warm).user).toBeLessThan(10 * once)
    expect(await fresh.verify('wrong', chosen)).toBe(false)
  })

  test('a caller that leaves is told at once and does not spoil the others', async () => {
    const fresh = createCredentialHasher({ credentialKey, concurrency: 1 })
    const leaving = new AbortController()
    const left = fresh.verify(secret, chosen, leaving)
    const stays = fresh.verify(secret, chosen)
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    expect(await stays).toBe(true)
  })

  test('who comes after everyone left gets an answer of its own', async () => {
    const fresh = createCredentialHasher({ credentialKey, concurrency: 1 })
    const busy = fresh.hashChosen('holds the only place')
    const leaving = new AbortController()
    const left = fresh.verify(secret, chosen, leaving)
    leaving.abort(new Error('gone'))
    const [next, another] = [fresh.verify(secret, chosen), fresh.verify(secret, chosen)]
    await expect(left).rejects.toThrow('gone')
    expect(await Promise.all([next, another])).toEqual([true, true])
    await busy
  })

  test('an unknown login name is refused', async () => {
    expect(await hasher.verifyUnknown('anything')).toBe(false)
  })
})

describe('derivation queue', () => {
  const cheap = { cost: 1024, blockSize: 8, parallelization: 1 }
  const salt = Buffer.alloc(16)

  test('an abandoned place goes to the next in line', async () => {
    const queue = createDerivationQueue(1)
    const leaving = new AbortController()
    const first = queue.derive('a', salt, cheap)
    const second = queue.derive('b', salt, cheap, leaving.signal)
    const third = queue.derive('c', salt, cheap)
    leaving.abort(new Error('gone'))
    await expect(second).rejects.toThrow('gone')
    expect(await first).toHaveLength(32)
    expect(await third).toHaveLength(32)
  })

  test('a full line is refused with 503', async () => {
    const queue = createDerivationQueue(1, 1)
    const running = [queue.derive('a', salt, cheap), queue.derive('b', salt, cheap)]
    await expect(queue.derive('c', salt, cheap)).rejects.toMatchObject({
      code: 'sts_unavailable',
      status: 503,
    })
    await Promise.all(running)
  })
})
