import { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { createLogger } from '../platform/observe/logger.ts'

/** A logger for commands that speak to people: warnings and errors become one line each. */
export function quietLogger(tell: (message: string) => void): Logger {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const { msg } = JSON.parse(chunk.toString()) as { msg?: string }
      if (msg !== undefined) tell(msg)
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
