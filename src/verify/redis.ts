/** `caracal/verify/redis`: revocations shared through Redis. */
export type { RedisClient } from './redis-commands.ts'
export {
  createDelegationEpochConsumer,
  createRevocationConsumer,
  type RedisConsumer,
  type RedisConsumerOptions,
} from './redis-consumer.ts'
export { RedisRevocationStore, type RedisRevocationStoreOptions } from './redis-store.ts'
export { signStreamEntry, verifyStreamEntry } from './stream-signature.ts'
