/**
 * A connection is handed to a worker together with a request for its receipt, and `node:cluster` keeps it
 * until that comes. When the worker is killed in between it would be kept for ever, its caller waiting
 * for an answer that nobody is going to give: it is closed, as the connections of the dead worker were.
 */
import type { ChildProcess } from 'node:child_process'

interface Handed {
  readonly act?: unknown
  readonly seq?: unknown
}

/** What a listening handle of the runtime hands out is no socket yet, and has no type. */
interface Closable {
  close(): void
}

export function closeUndelivered(child: ChildProcess): void {
  const underWay = new Map<unknown, Partial<Closable>>()
  const send = child.send
  child.send = function (this: ChildProcess, ...args: Parameters<typeof send>): boolean {
    const [message, handle] = args
    const { act, seq } = (message ?? {}) as Handed
    if (act === 'newconn' && handle !== null && typeof handle === 'object')
      underWay.set(seq, handle as Partial<Closable>)
    return Reflect.apply(send, this, args) as boolean
  } as typeof send
  child.on('internalMessage', (message: { readonly ack?: unknown } | null) => {
    if (message?.ack !== undefined) underWay.delete(message.ack)
  })
  child.once('exit', () => {
    for (const handle of underWay.values()) handle.close?.()
    underWay.clear()
  })
}
