/** Who is on the other end of the connection. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

function bare(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

/**
 * The client address of a Node request. With `trustProxy` it is the last entry of
 * `X-Forwarded-For`: the one our own proxy wrote, the only one a caller cannot make up.
 */
export function clientIpOf(incoming: IncomingMessage | undefined, trustProxy: boolean): string {
  const peer = incoming?.socket.remoteAddress ?? ''
  if (!trustProxy || incoming === undefined) return bare(peer)
  const header = incoming.headers['x-forwarded-for']
  const forwarded =
    (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').at(-1)?.trim() ?? ''
  return bare(isIP(forwarded) === 0 ? peer : forwarded)
}
