/**
 * The program of a worker (`caracal serve --workers`): told where it stands, it runs the roles on the
 * listeners that it shares, and ends when the primary says so or is gone.
 */
import cluster, { type Worker } from 'node:cluster'
import { ConfigError, loadSettings } from '../../config/load.ts'
import type { ProcessLogger } from '../../platform/observe/logger.ts'
import type { Exposition } from '../merge-metrics.ts'
import { loggerOf, type Server, startServer } from '../start.ts'
import type { Place, ToPrimary, ToWorker } from './messages.ts'

const { worker } = cluster
if (worker === undefined) throw new Error('this program is started by caracal serve --workers')
run(worker)

function run(self: Worker): void {
  const starting = new AbortController()
  const asked = new Map<number, (expositions: readonly Exposition[]) => void>()
  let questions = 0
  let logger: ProcessLogger | null = null
  let server: Server | null = null
  let ending = false

  const tell = (message: ToPrimary): void => {
    if (self.isConnected()) self.send(message)
  }
  const leave = async (code: number): Promise<void> => {
    await logger?.close()
    process.exit(code)
  }
  const end = async (): Promise<void> => {
    if (ending) return
    ending = true
    starting.abort(new Error('stopped while it started'))
    // A start under way ends by itself and leaves.
    if (server === null) return
    await leave((await server.stop()).length === 0 ? 0 : 1)
  }
  const bug = (error: unknown): void => {
    logger?.log.fatal({ err: error }, 'uncaught error')
    void leave(1)
  }
  process.on('uncaughtException', bug)
  process.on('unhandledRejection', bug)
  // Ctrl-C reaches every process of a terminal; the primary decides what it means.
  process.on('SIGINT', () => {})
  process.on('SIGHUP', () => {})
  process.on('SIGTERM', () => void end())
  self.on('disconnect', () => {
    // Without this the process would leave at once, whatever it is in the middle of.
    self.exitedAfterDisconnect = true
    void end()
    if (server === null) void leave(0)
  })

  const others = (listener: string): Promise<readonly Exposition[]> => {
    questions += 1
    const id = questions
    return new Promise((resolve) => {
      asked.set(id, resolve)
      tell({ kind: 'measure', id, listener })
    })
  }

  const start = async ({ number, env, roles, cwd, connection }: Place): Promise<void> => {
    try {
      const settings = loadSettings(env, { roles, cwd })
      const made = loggerOf(settings)
      logger = { ...made, log: made.log.child({ worker: number }) }
      server = await startServer(settings, {
        logger,
        signal: starting.signal,
        seat: { number, others },
        host: { connection },
      })
      if (ending) return await leave((await server.stop()).length === 0 ? 0 : 1)
      tell({ kind: 'ready', listeners: server.listeners })
    } catch (error) {
      if (ending) return await leave(0)
      tell({ kind: 'failed', problems: problemsOf(error) })
      await leave(1)
    }
  }

  self.on('message', (message: ToWorker) => {
    if (message.kind === 'start') void start(message.place)
    else if (message.kind === 'stop') void end()
    else if (message.kind === 'measured') {
      asked.get(message.id)?.(message.expositions)
      asked.delete(message.id)
    } else {
      const { id, listener } = message
      void (server?.exposition(listener) ?? Promise.resolve('')).then((text) =>
        tell({ kind: 'measured', id, text }),
      )
    }
  })
  tell({ kind: 'online' })
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems
  return [error instanceof Error ? error.message : String(error)]
}
