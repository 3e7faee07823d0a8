/**
 * Work with an end: a timeout and any number of abort signals around one operation.
 * `AbortSignal.any` keeps every derived signal alive as long as its sources on Node 20,
 * so listeners are owned and removed here.
 */
export async function withDeadline<T>(
  ms: number,
  signals: readonly (AbortSignal | null | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const late = () =>
    controller.abort(new DOMException(`the operation took longer than ${ms} ms`, 'TimeoutError'))
  const timer = setTimeout(late, ms)
  const undo: (() => void)[] = []
  try {
    for (const signal of signals) {
      if (!signal) continue
      if (signal.aborted) controller.abort(signal.reason)
      const stop = () => controller.abort(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      undo.push(() => signal.removeEventListener('abort', stop))
    }
    controller.signal.throwIfAborted()
    return await orAborted(work(controller.signal), controller.signal)
  } finally {
    clearTimeout(timer)
    for (const remove of undo) remove()
  }
}

/** Settles with `work`, or rejects when `signal` aborts first: a transport that ignores its signal holds nobody. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** Waits; rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
