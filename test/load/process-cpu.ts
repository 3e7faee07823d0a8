/** CPU time of processes, as /proc tells it. */
import { readFileSync } from 'node:fs'
import { childrenOf } from './process-tree.ts'

/** Ticks per second of /proc/<pid>/stat; 100 on every Linux Node runs on. */
const ticksPerSecond = 100

/** Seconds in user and kernel mode, all threads. */
export function cpuSecondsOf(pid: number): number {
  return ticksOf(pid, 2) / ticksPerSecond
}

/** The same with everything it started, what has ended included. */
export function cpuSecondsOfFamily(pid: number): number {
  return childrenOf(pid).reduce((ticks, child) => ticks + ticksOf(child, 2), ticksOf(pid, 4)) / ticksPerSecond
}

/** utime and stime, and with four members those of children that ended. */
function ticksOf(pid: number, members: 2 | 4): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return fields.slice(11, 11 + members).reduce((sum, ticks) => sum + Number(ticks), 0)
  } catch {
    // It ended between the two looks.
    return 0
  }
}
