/** The program of a thread of roles: runs what its settings name on the store of its process, until told to stop. */
import { parentPort } from 'node:worker_threads'
import { loggerOf, type Server, startServer } from '../start.ts'
import type { FromThread, ToThread } from './messages.ts'

if (parentPort === null) throw new Error('this program is started by caracal serve')
const port = parentPort
const tell = (message: FromThread): void => port.postMessage(message)
const starting = new AbortController()
let running: Promise<Server> | null = null
let takeTurn: () => void = () => undefined
const turn = new Promise<void>((resolve) => {
  takeTurn = resolve
})

port.on('message', (message: ToThread) => {
  if (message.kind === 'start') void start(message)
  else if (message.kind === 'listen') takeTurn()
  else void stop(message.budgetMs)
})

async function start({ settings, connection }: Extract<ToThread, { kind: 'start' }>): Promise<void> {
  const logger = loggerOf(settings, { write: (line) => tell({ kind: 'line', line }) })
  running = startServer(settings, { logger, signal: starting.signal, host: { connection, turn } })
  try {
    tell({ kind: 'ready', listeners: (await running).listeners })
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    tell({ kind: 'refused', name, message })
  }
}

async function stop(budgetMs: number): Promise<void> {
  starting.abort(new Error('stopped while it started'))
  takeTurn()
  const server = await running?.catch(() => null)
  tell({ kind: 'stopped', failures: (await server?.stop(budgetMs)) ?? [] })
}
