/** One shape for the Redis clients people have: node-redis (`sendCommand`) and ioredis-style (`call`). */

interface NodeRedisClient {
  sendCommand(args: string[]): Promise<unknown>
}

interface IoRedisClient {
  call(command: string, ...args: string[]): Promise<unknown>
}

export type RedisClient = NodeRedisClient | IoRedisClient

export type RedisCommand = (command: string, ...args: readonly string[]) => Promise<unknown>

export function redisCommand(client: RedisClient): RedisCommand {
  if ('sendCommand' in client && typeof client.sendCommand === 'function' && !('call' in client))
    return (command, ...args) => client.sendCommand([command, ...args])
  if ('call' in client) return (command, ...args) => client.call(command, ...args)
  throw new TypeError('a node-redis client (sendCommand) or an ioredis-style client (call) is required')
}
