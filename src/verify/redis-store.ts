/** Revocations that several processes share (sdk-cli-console §9.4). */
import { type RedisClient, type RedisCommand, redisCommand } from './redis-commands.ts'
import { defaultRevocationTtlMs, type RevocationStore } from './revocation-store.ts'

export interface RedisRevocationStoreOptions {
  readonly client: RedisClient
  /** Default `caracal:revoked:sessions:`. */
  readonly prefix?: string | undefined
  /** Default 24 hours. */
  readonly ttlMs?: number | undefined
  /** A Redis that does not answer counts as a revocation. Default true. */
  readonly failClosed?: boolean | undefined
}

/** Raises a decimal of any length; numbers of Lua would lose digits. */
const raiseEpoch = `
local current = redis.call('GET', KEYS[1]) or '0'
local given = ARGV[1]
if #given > #current or (#given == #current and given > current) then
  redis.call('SET', KEYS[1], given, 'PX', ARGV[2])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1`

export class RedisRevocationStore implements RevocationStore {
  readonly #command: RedisCommand
  readonly #prefix: string
  readonly #ttlMs: number
  readonly #failClosed: boolean

  constructor(options: RedisRevocationStoreOptions) {
    this.#command = redisCommand(options.client)
    this.#prefix = options.prefix ?? 'caracal:revoked:sessions:'
    this.#ttlMs = options.ttlMs ?? defaultRevocationTtlMs
    this.#failClosed = options.failClosed ?? true
  }

  async isRevoked(anchorId: string): Promise<boolean> {
    try {
      return (await this.#command('GET', this.#prefix + anchorId)) !== null
    } catch {
      return this.#failClosed
    }
  }

  async markRevoked(anchorId: string, ttlMs = this.#ttlMs): Promise<void> {
    await this.#command('SET', this.#prefix + anchorId, '1', 'PX', String(ttlMs))
  }

  async currentDelegationEpoch(zoneId: string): Promise<number> {
    try {
      const text = await this.#command('GET', this.#epochKey(zoneId))
      if (text === null || text === undefined) return 0
      const epoch = Number(String(text))
      return Number.isSafeInteger(epoch) ? epoch : Number.MAX_SAFE_INTEGER
    } catch {
      return this.#failClosed ? Number.MAX_SAFE_INTEGER : 0
    }
  }

  async markDelegationEpoch(zoneId: string, epoch: number, ttlMs = this.#ttlMs): Promise<void> {
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw new TypeError('epoch must be a non-negative integer')
    await this.#command('EVAL', raiseEpoch, '1', this.#epochKey(zoneId), String(epoch), String(ttlMs))
  }

  #epochKey(zoneId: string): string {
    return `${this.#prefix}delegation-epoch:${zoneId}`
  }
}
