/** What the machine gives for the bare primitives, in the same run: the yardstick of every other row. */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { closedLoop, type Measured } from './closed-loop.ts'

const own = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** One ES256 signature and one verification, on one core. */
export function signAndVerifyMicros(): number {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = Buffer.alloc(700, 'x')
  const rounds = 3000
  const started = performance.now()
  for (let round = 0; round < rounds; round += 1) {
    const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
  }
  return ((performance.now() - started) * 1000) / rounds
}

/** One HTTP hop through a bare Node proxy to the same upstream, with everything in this process. */
export async function bareProxyHop(upstreamUrl: string, workers: number, seconds: number): Promise<Measured> {
  const { hostname, port } = new URL(upstreamUrl)
  const proxy = createServer((incoming, outgoing) => {
    const onward = httpRequest({ hostname, port, path: incoming.url, method: incoming.method }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const pool = new Pool(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, { connections: 64 })
  const measured = await closedLoop(
    { workers, seconds },
    async () => {
      const { statusCode, body } = await pool.request({ method: 'GET', path: '/items' })
      await body.dump()
      return statusCode === 200 ? null : String(statusCode)
    },
    { cpuSeconds: own, rest: async () => undefined },
  )
  await pool.close()
  proxy.closeAllConnections()
  proxy.close()
  return measured
}
