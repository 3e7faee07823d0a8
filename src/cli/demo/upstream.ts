/**
 * The API the demo protects: a real HTTP server on loopback that knows one API key,
 * nothing of Caracal, and remembers what reached it.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface Upstream extends AsyncDisposable {
  readonly url: string
  /** Every request that reached it, in order. */
  readonly received: readonly Received[]
}

/** Starts the server on a free port; it answers 401 to anyone without `apiKey`. */
export async function startUpstream(apiKey: string): Promise<Upstream> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    received.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers })
    const known = request.headers['x-api-key'] === apiKey
    response.writeHead(known ? 200 : 401, { 'content-type': 'application/json' })
    response.end(JSON.stringify(known ? { items: [{ sku: 'lynx-1', stock: 7 }] } : { error: 'unknown key' }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
