/**
 * The name a consumer has unless somebody chose one. Processes of one host must not share it, so it holds
 * the process id; a restart has another, and knows by it what the process before left in hand.
 */
import { hostname } from 'node:os'
import { isAlive } from '../../../platform/embedded/postmaster.ts'

const prefix = `${hostname()}:`

export const ownName = `${prefix}${process.pid}`

/**
 * True for the default name of a process of this host that is no more. A host name shared by containers makes this a
 * guess; what is then taken from a living consumer is stored once all the same.
 */
export function isGone(consumer: string): boolean {
  const pid = consumer.startsWith(prefix) ? Number(consumer.slice(prefix.length)) : Number.NaN
  return Number.isSafeInteger(pid) && pid > 0 && !isAlive(pid)
}
