/** A process and everything it started. */
import { readFileSync } from 'node:fs'

/** What `pid` started and is still there; none when it is gone itself. */
export function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return children === '' ? [] : children.split(' ').map(Number)
  } catch {
    return []
  }
}

/** The process first, then its descendants. */
const treeOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(treeOf)]

/** As a machine that stands still would stop them. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  for (const one of treeOf(pid)) {
    try {
      process.kill(one, signal)
    } catch {
      // It ended meanwhile.
    }
  }
}
