/** A TCP door in front of a store that a test can shut and open again. */
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net'

export interface CuttableProxy extends AsyncDisposable {
  readonly port: number
  /** Drops every connection and refuses new ones. */
  cut(): Promise<void>
  /** Drops every connection; new ones are welcome at once. */
  drop(): void
  restore(): Promise<void>
}

export async function createCuttableProxy(target: NetConnectOpts): Promise<CuttableProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.setNoDelay?.(true)
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  const drop = (): void => {
    for (const socket of [...sockets]) socket.destroy()
  }
  const cut = async (): Promise<void> => {
    if (!server.listening) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    drop()
    await closed
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    cut,
    drop,
    restore: () => listen(port),
    [Symbol.asyncDispose]: cut,
  }
}
