/** The server that `caracal up` leaves running: where its files are and whether it lives. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { caracalHome } from '../../config/home.ts'
import type { Environment } from '../../config/load.ts'

export interface BackgroundFiles {
  readonly home: string
  readonly pid: string
  readonly log: string
  /** Data directory of the embedded store. */
  readonly data: string
}

export function backgroundFiles(env: Environment): BackgroundFiles {
  const home = caracalHome(env)
  return {
    home,
    pid: join(home, 'caracal.pid'),
    log: join(home, 'caracal.log'),
    data: env.CARACAL_DATA_DIR ? resolve(env.CARACAL_DATA_DIR) : join(home, 'data'),
  }
}

/** The pid of the running server; null when there is none. A pid that another program got counts as none. */
export function runningPid(files: BackgroundFiles): number | null {
  let pid: number
  try {
    pid = Number(readFileSync(files.pid, 'utf8').trim())
  } catch {
    return null
  }
  return Number.isInteger(pid) && pid > 1 && isAlive(pid) && isCaracal(pid) ? pid : null
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  // A child that ended and was not waited for yet still has a pid.
  return processFile(pid, 'stat')?.replace(/^.*\)/s, '').trim().startsWith('Z') !== true
}

/** Where the system tells, the command must be ours; elsewhere the pid has to do. */
function isCaracal(pid: number): boolean {
  const command = processFile(pid, 'cmdline')
  return command === null || command.split('\0').includes('serve')
}

function processFile(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return null
  }
}

export function writePid(files: BackgroundFiles, pid: number): void {
  mkdirSync(files.home, { recursive: true, mode: 0o700 })
  writeFileSync(files.pid, `${pid}\n`, { mode: 0o600 })
}

export function removePid(files: BackgroundFiles): void {
  rmSync(files.pid, { force: true })
}

/** The last `count` lines of the log after byte `from`; empty without one. */
export function lastLines(files: BackgroundFiles, count: number, from = 0): string[] {
  try {
    const lines = readFileSync(files.log).subarray(from).toString().split('\n')
    if (lines.at(-1) === '') lines.pop()
    return count === 0 ? [] : lines.slice(-count)
  } catch {
    return []
  }
}
