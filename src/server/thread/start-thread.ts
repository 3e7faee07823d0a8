/**
 * Roles in a thread of the same process, beside those that answer agents: what they do in the background then
 * takes a processor of its own instead of the turns of mints and calls. They share the process's store,
 * its log and its end, and nothing else; everything they hear of the others comes over the bus, as from another process.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Settings } from '../../config/env.ts'
import type { EmbeddedConnection } from '../../platform/embedded/port.ts'
import type { RoleName } from '../../platform/role.ts'
import type { Address } from '../workers/messages.ts'
import type { FromThread, ToThread } from './messages.ts'

/** Which of these roles get a thread of their own. */
export function rolesApart(settings: Settings, roles: readonly RoleName[]): RoleName[] {
  const wanted = settings.CARACAL_AUDIT_THREAD
  // Node 20 runs no TypeScript in a thread; and one listener of all roles is one event loop.
  const possible =
    extname(import.meta.url) === '.js' && roles.length > 1 && settings.CARACAL_SINGLE_PORT === null
  if (!possible || wanted === 'off' || (wanted === 'auto' && availableParallelism() === 1)) return []
  return roles.filter((role) => role === 'audit')
}

export interface RoleThread {
  /** The store is open and its schema current when this is called. */
  start(connection: EmbeddedConnection | null): void
  /** Lets its listeners open once its roles are ready. Rejects with the reason why they cannot run. */
  listen(): Promise<Readonly<Record<string, Address>>>
  /** Settles when the thread is gone although nobody stopped it. */
  readonly failed: Promise<Error>
  /** Drains and ends it within `budgetMs`; answers what did not end well. */
  stop(budgetMs: number): Promise<readonly string[]>
}

/** Its roles cannot run; the name is that of the reason. */
class RoleThreadRefused extends Error {
  override readonly name: string

  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/** Loads the thread's code at once, so that it is ready to start when the store is. */
export function openRoleThread(
  settings: Settings,
  roles: readonly RoleName[],
  writeLine: (line: string) => void,
): RoleThread {
  const program = new URL(`./role-thread${extname(import.meta.url)}`, import.meta.url)
  const thread = new Worker(program, { name: roles.join(',') })
  const tell = (message: ToThread): void => thread.postMessage(message)
  const ready = later<Readonly<Record<string, Address>>>()
  const gone = later<Error>()
  const stopped = later<readonly string[]>()
  let stopping = false
  const lost = (error: Error): void => {
    ready.reject(error)
    stopped.resolve([error.message])
    if (!stopping) gone.resolve(error)
  }
  ready.promise.catch(() => undefined)
  thread.on('message', (message: FromThread) => {
    if (message.kind === 'line') writeLine(message.line)
    else if (message.kind === 'ready') ready.resolve(message.listeners)
    else if (message.kind === 'refused') ready.reject(new RoleThreadRefused(message.name, message.message))
    else stopped.resolve(message.failures)
  })
  thread.on('error', lost)
  thread.on('exit', () => lost(new Error(`the thread of role ${roles.join(', ')} ended`)))

  return {
    start(connection) {
      tell({ kind: 'start', settings: { ...settings, CARACAL_ROLE: roles.join(',') }, connection })
    },
    listen() {
      tell({ kind: 'listen' })
      return ready.promise
    },
    failed: gone.promise,
    async stop(budgetMs) {
      stopping = true
      tell({ kind: 'stop', budgetMs })
      const patience = new AbortController()
      const late = sleep(budgetMs, ['its thread did not end in time'], { signal: patience.signal })
      const failures = await Promise.race([stopped.promise, late.catch(() => [])])
      patience.abort()
      await thread.terminate()
      return failures
    },
  }
}

interface Later<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** A promise that others settle. */
function later<T>(): Later<T> {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((keep, give) => {
    resolve = keep
    reject = give
  })
  return { promise, resolve, reject }
}
