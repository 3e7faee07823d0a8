/**
 * The socket of a connection to the store. The driver writes at the end of a turn of the event loop, and at
 * once whenever a kilobyte has gathered (postgres 3.4.9: `write`), so that a few statements of one turn leave
 * in several packets, each of which wakes the server by itself. Here all of a turn leave in one.
 */
import net from 'node:net'
import type postgres from 'postgres'

/** From this many bytes on the driver does not wait for the end of the turn. */
const hurriedBytes = 1024

/** Gives the client such sockets, where it has one address and no TLS, which has a socket of its own. */
export function sendByTurns(client: postgres.Sql): void {
  const options = client.options as unknown as {
    readonly host: readonly string[]
    readonly port: readonly number[]
    readonly path?: string | false
    readonly ssl?: unknown
    socket?: () => net.Socket
  }
  const [host, ...others] = options.host
  const [port] = options.port
  if (options.ssl || others.length > 0 || options.socket !== undefined) return
  if (options.path) {
    const { path } = options
    options.socket = () => turnSocket().connect(path)
  } else if (host !== undefined && port !== undefined) {
    options.socket = () => turnSocket().connect(port, host)
  }
}

/** The driver takes a socket it did not make for connected; what is written before waits in it. */
function turnSocket(): net.Socket {
  const socket = new net.Socket()
  const write = socket.write.bind(socket) as (chunk: Uint8Array, done?: () => void) => boolean
  let corked = false
  const release = (): void => {
    if (!corked) return
    corked = false
    socket.uncork()
  }
  const byTurns = (chunk: Uint8Array, done?: () => void): boolean => {
    if (chunk.length < hurriedBytes) {
      // The end of the turn, said by the driver itself.
      const takesMore = write(chunk, done)
      release()
      return takesMore
    }
    if (!corked) {
      corked = true
      socket.cork()
      // Behind the driver's own end of this turn, should there be one.
      process.nextTick(() => setImmediate(release))
    }
    return write(chunk, done)
  }
  return Object.assign(socket, { write: byTurns as net.Socket['write'] })
}
