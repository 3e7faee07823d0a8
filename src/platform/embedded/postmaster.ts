/**
 * What can be known of a running Postgres from its lock file and from the process
 * table, without asking it.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export interface Postmaster {
  readonly pid: number
  readonly socketDirectory: string
  readonly ready: boolean
}

/** The postmaster that serves `cluster`, or `null`; a lock file of a process that is something else now is removed. */
export function findPostmaster(cluster: string): Postmaster | null {
  const path = join(cluster, 'postmaster.pid')
  const lines = readLines(path)
  if (lines === null) return null
  // Line 1 pid, 5 socket directory, 8 status (utils/pidfile.h).
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return null
  if (isPostmasterOf(pid, cluster))
    return { pid, socketDirectory: lines[4]?.trim() ?? '', ready: lines[7]?.trim() === 'ready' }
  // Postgres refuses to start while the recorded pid lives, whoever has it now.
  if (isAlive(pid)) rmSync(path, { force: true })
  return null
}

function readLines(path: string): string[] | null {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function isPostmasterOf(pid: number, cluster: string): boolean {
  if (!isAlive(pid)) return false
  try {
    if (process.platform === 'linux') {
      // A postmaster works inside its cluster; a zombie has no working directory any more.
      return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster)
    }
    const command = commandOf(pid)
    return command.includes('postgres') && command.includes(cluster)
  } catch {
    return false
  }
}

const ownerMark = 'cluster_name=caracal'

/**
 * The server setting that says which process supervises it. It is part of the server's
 * command line, so it is there from the first moment and cannot be written by another.
 */
export function ownerSetting(): string {
  return `${ownerMark}:${process.pid}:${startOf(process.pid)}`
}

/** The process that started the server, while it lives. */
export function liveOwner(postmaster: Postmaster): number | null {
  const [, pid, started] = new RegExp(`${ownerMark}:(\\d+):(\\S+)`).exec(commandOf(postmaster.pid)) ?? []
  return pid !== undefined && isAlive(Number(pid)) && startOf(Number(pid)) === started ? Number(pid) : null
}

function commandOf(pid: number): string {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      : execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** Tells two processes apart that had the same pid. */
function startOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // Field 22, counted after the command, which may hold anything.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '?'
    }
    return execFileSync('ps', ['-p', String(pid), '-o', 'lstart='], { encoding: 'utf8' })
      .trim()
      .replaceAll(' ', '_')
  } catch {
    return '?'
  }
}
