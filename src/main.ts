#!/usr/bin/env node
import { runCommandLine } from './cli/main.ts'

const code = await runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
})
// Output to a pipe may still be on its way; a handle that somebody forgot must not hold the process.
process.exitCode = code
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
