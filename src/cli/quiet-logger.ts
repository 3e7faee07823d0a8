import { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { createLogger } from '../platform/observe/logger.ts'

/** A logger for commands that speak to people: warnings and errors become one line each. */
export function quietLogger(tell: (message: string) => void): Logger {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const { msg, warning } = JSON.parse(chunk.toString()) as { msg?: string; warning?: string }
      // The message is a name for machines; some lines carry a sentence too.
      const text = warning ?? msg
      if (text !== undefined) tell(text)
      done()
    },
  })
  return createLogger({
    level: 'warn',
    env: 'cli',
    version: '',
    maxFieldBytes: 0,
    sampleDebug: 1,
    destination,
  }).log
}
