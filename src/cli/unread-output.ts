/**
 * A reader of our output that leaves (`caracal demo | head`) ends a command as SIGTERM does: what it started is
 * ended first. A command that does not listen for SIGTERM is short; it goes on to its end unheard, so that
 * a store it opened is closed.
 */
import { constants } from 'node:os'

/** The exit code of a program that a closed pipe ended, as a shell reports it. */
const unreadCode = 128 + constants.signals.SIGPIPE

/** Watches both streams of the process; answers how an exit code changes once a reader is gone. */
export function watchForReaders(): (code: number) => number {
  let gone = false
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error
    if (gone) return
    gone = true
    process.emit('SIGTERM', 'SIGTERM')
  }
  process.stdout.on('error', onError)
  process.stderr.on('error', onError)
  return (code) => (gone ? unreadCode : code)
}
