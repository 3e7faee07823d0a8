/**
 * What stands before replicas: TCP connections go round robin, and past one that refuses them to
 * the next. It looks into nothing and checks nobody's health. Who has said its last word can still
 * be spoken to, as on a connection without it.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer extends AsyncDisposable {
  readonly url: string
}

export async function openBalancer(targets: readonly number[]): Promise<Balancer> {
  let turn = 0
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  }
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    keep(client)
    turn += 1
    const first = turn
    const attempt = (tried: number): void => {
      const port = targets[(first + tried) % targets.length]
      if (tried >= targets.length || port === undefined || client.destroyed) {
        client.destroy()
        return
      }
      const replica = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
      keep(replica)
      const refused = (): void => attempt(tried + 1)
      replica.once('error', refused)
      replica.once('connect', () => {
        replica.off('error', refused)
        client.setNoDelay(true)
        client.on('close', () => replica.destroy())
        replica.on('close', () => client.destroy())
        client.pipe(replica).pipe(client)
        client.resume()
      })
    }
    attempt(0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of [...sockets]) socket.destroy()
      await closed
    },
  }
}
