/** Whole lines of one stream into another. */
import type { Readable, Writable } from 'node:stream'

export function relayLines(from: Readable | null | undefined, to: Writable): void {
  let rest: Buffer = Buffer.alloc(0)
  from?.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(0x0a) + 1
    if (end === 0) {
      rest = Buffer.concat([rest, chunk])
      return
    }
    to.write(Buffer.concat([rest, chunk.subarray(0, end)]))
    rest = chunk.subarray(end)
  })
  from?.on('end', () => {
    if (rest.length > 0) to.write(Buffer.concat([rest, Buffer.from('\n')]))
  })
}
