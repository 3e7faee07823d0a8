/**
 * HTTP/1.1 for load of which the generator must take as little of the machine as it can: requests are text that is
 * written as it is, answers are looked at for their status and their end. Only what a server that is
 * known sends: answers with a content length or in chunks, over connections that are kept.
 */
import { connect, type Socket } from 'node:net'

export interface WireAnswer {
  readonly status: number
  /** Chunks and their lengths as they came, where there are any. */
  readonly body: string
}

export interface WirePool extends Disposable {
  /** Sends a request to its last byte; rejects when the connection ends before the answer does. */
  send(request: string): Promise<WireAnswer>
  /** The value of the host header. */
  readonly host: string
}

interface Waiting {
  readonly keep: (answer: WireAnswer) => void
  readonly give: (error: Error) => void
}

/** As many connections as there are requests under way at once. */
export function wirePool(url: string): WirePool {
  const { hostname, port, host } = new URL(url)
  const idle: Wire[] = []
  const all = new Set<Wire>()
  const open = (): Wire => {
    const wire = new Wire(connect(Number(port), hostname), () => all.delete(wire))
    all.add(wire)
    return wire
  }
  return {
    host,
    async send(request) {
      let wire = idle.pop()
      while (wire?.ended === true) wire = idle.pop()
      wire ??= open()
      const answer = await wire.send(request)
      idle.push(wire)
      return answer
    },
    [Symbol.dispose]() {
      for (const wire of all) wire.end()
    },
  }
}

class Wire {
  readonly #socket: Socket
  #received = ''
  #waiting: Waiting | null = null
  ended = false

  constructor(socket: Socket, onEnd: () => void) {
    this.#socket = socket
    let failure = new Error('the connection ended before the answer did')
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#hear(chunk.toString('latin1')))
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => {
      this.ended = true
      onEnd()
      this.#waiting?.give(failure)
    })
  }

  send(request: string): Promise<WireAnswer> {
    return new Promise((keep, give) => {
      this.#waiting = { keep, give }
      this.#socket.write(request, 'latin1')
    })
  }

  end(): void {
    this.#socket.destroy()
  }

  #hear(text: string): void {
    this.#received += text
    const head = this.#received.indexOf('\r\n\r\n')
    if (head < 0) return
    const body = head + 4
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#received)?.[1]
    const whole =
      length === undefined
        ? this.#received.endsWith('0\r\n\r\n')
        : this.#received.length >= body + Number(length)
    if (!whole) return
    const answer = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(body) }
    const waiting = this.#waiting
    this.#received = ''
    this.#waiting = null
    waiting?.keep(answer)
  }
}
