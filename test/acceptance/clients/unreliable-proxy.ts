/** A proxy in front of a real role that loses what it is told to lose. What was forwarded was really done. */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { close, listen } from './stage.ts'

/**
 * refuse: the connection breaks before the role hears of it. lose: it does its work, the answer never
 * arrives. half: half of the answer arrives and the connection ends in good order. hang: no answer, no end.
 */
export type Loss = 'pass' | 'refuse' | 'lose' | 'half' | '503' | 'hang'

export interface UnreliableProxy extends AsyncDisposable {
  readonly url: string
  /** `METHOD path` of every request that reached the role. */
  readonly forwarded: string[]
  /** What becomes of the next matching requests, first to last; then all is well. */
  lose(matches: (line: string) => boolean, ...losses: Loss[]): void
}

export async function openUnreliableProxy(target: string): Promise<UnreliableProxy> {
  const forwarded: string[] = []
  let plan: { readonly matches: (line: string) => boolean; readonly losses: Loss[] } | null = null

  function next(line: string): Loss {
    return plan?.matches(line) === true ? (plan.losses.shift() ?? 'pass') : 'pass'
  }

  function forward(request: IncomingMessage, response: ServerResponse, body: Buffer, loss: Loss): void {
    const { method, url = '/', headers } = request
    const onward = httpRequest(new URL(url, target), { method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const whole = Buffer.concat(chunks)
        if (loss === 'lose') return response.socket?.resetAndDestroy()
        if (loss === 'hang') return
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        if (loss === 'pass') return response.end(whole)
        response.write(whole.subarray(0, whole.length >> 1), () => response.socket?.end())
      })
    })
    onward.on('error', () => response.destroy())
    onward.end(body)
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const line = `${request.method} ${request.url}`
      const loss = next(line)
      if (loss === 'refuse') return response.socket?.resetAndDestroy()
      if (loss === '503')
        return response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":"unavailable"}')
      forwarded.push(line)
      forward(request, response, Buffer.concat(chunks), loss)
    })
  })
  return {
    url: await listen(server),
    forwarded,
    lose(matches, ...losses) {
      plan = { matches, losses }
    },
    [Symbol.asyncDispose]: () => close(server),
  }
}
