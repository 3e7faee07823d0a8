/**
 * Finished lines to stdout. Nothing waits for their reader: what cannot be buffered is dropped and counted, and
 * neither a reader that stopped reading nor one that is gone holds the process at its end.
 */
import { type DestinationStream, pino } from 'pino'

export interface StdoutLines extends DestinationStream {
  dropped(): number
  /** Resolves when what was written is out, or given up after `closeLimitMs`; lines after that are dropped. */
  close(): Promise<void>
}

/** Bytes waiting for a slow reader before lines are dropped. */
const mostBufferedBytes = 16 * 1024 * 1024
/** For how long the end of the process waits for a slow reader. */
const closeLimitMs = 2000

export function stdoutLines(): StdoutLines {
  // Node opens it so that a write to a full pipe fails at once; a thread that waits in one would hold the exit.
  void process.stdout
  // Its flush waits for the buffered bytes only if there is a least length; every line is longer than this one.
  const stream = pino.destination({ dest: 1, sync: false, minLength: 1, maxLength: mostBufferedBytes })
  let dropped = 0
  let closing: Promise<void> | null = null
  let closed = false
  stream.on('drop', () => {
    dropped += 1
  })
  // A full disk, a terminal that is gone: what is buffered is tried again with the next line.
  stream.on('error', () => {})

  const finish = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, closeLimitMs)
      stream.flush(() => {
        clearTimeout(limit)
        resolve()
      })
    })
    closed = true
    // Not destroyed it would, as the process exits, try to write for as long as nobody reads.
    stream.destroy()
  }
  return {
    // pino calls flushSync of a destination that has one at each fatal line; this one has none, as that blocks.
    write(line) {
      if (closed) dropped += 1
      else stream.write(line)
    },
    dropped: () => dropped,
    close: () => {
      closing ??= finish()
      return closing
    },
  }
}
