#!/usr/bin/env node
import { runCommandLine } from './cli/main.ts'
import { watchForReaders } from './cli/unread-output.ts'

const exitCode = watchForReaders()
const code = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
})
// Output to a pipe may still be on its way; a handle that somebody forgot must not hold the process.
process.exitCode = code
// A stream says what went wrong only after it has answered the write.
const leave = (): void => void setImmediate(() => process.exit(exitCode(code)))
process.stdout.write('', () => process.stderr.write('', leave))
