/** One `caracal` command, run to its end. */
import { execFile } from 'node:child_process'
import { main } from './server-process.ts'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export function runCaracal(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env }, maxBuffer: 1 << 26 }
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })
}
