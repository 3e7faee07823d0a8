/**
 * The end of a connection whose caller is still sending (RFC 9112 §9.6). Closed at once, what comes
 * next is met with a reset, and a reset takes from the caller the answer it has not read yet: a body
 * over the limit would end in a broken connection instead of a 413.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Who keeps sending is cut off then. */
const patienceMs = 2000

const lingering = new WeakSet<Socket>()

/** The connection has had its last answer: what else comes on it is not served (RFC 9112 §9.6). */
export const isLingering = (socket: Socket): boolean => lingering.has(socket)

/** To be called before the request is answered. */
export function lingerAfter(request: IncomingMessage, response: ServerResponse): void {
  const { headers, socket } = request
  const length = headers['content-length']
  if (headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return
  // Before Node's own listener, which closes the connection when this was its last answer.
  response.prependOnceListener('finish', () => {
    if (request.complete || socket.destroyed) return
    const closeNow = socket.destroySoon
    let timer: NodeJS.Timeout | undefined
    socket.destroySoon = () => {
      if (timer !== undefined) return
      lingering.add(socket)
      timer = setTimeout(() => socket.destroy(), patienceMs)
      socket.end()
    }
    const received = (): void => {
      clearTimeout(timer)
      socket.destroySoon = closeNow
      if (timer !== undefined) socket.destroySoon()
    }
    request.once('end', received)
    socket.once('close', () => clearTimeout(timer))
    // Who read it stopped on the way, and would pause it at every piece.
    request.removeAllListeners('data')
    request.resume()
  })
}
