/**
 * Connections that statements share. Each is a driver client of one connection that is thrown away
 * when the connection ends. The driver would use it again, but a statement that comes between the
 * error and the end of a connection is never answered there, and leaves bytes behind that keep
 * the next log-in from being sent until it times out (postgres 3.4.9: `closed` neither rejects
 * after an error nor empties what was not written). Here every open statement is rejected at once.
 */
import type postgres from 'postgres'
import { maxAgeMs } from './lease.ts'
import type { Outage } from './outage.ts'
import { abandon, asStatement, onSettled, type Statement } from './statement.ts'
import { connectionLost, poolClosed } from './unavailable.ts'

export interface ConnectionHooks {
  readonly onclose: () => void
  /** The driver calls it for each parameter the server tells after a log-in. */
  readonly onparameter: () => void
}

export interface LinesOptions {
  /** Connections at most; opened on demand. */
  readonly count: number
  /** Makes a client of one connection that never closes it by itself. */
  readonly open: (hooks: ConnectionHooks) => postgres.Sql
  /** How long a connection may take to be made. */
  readonly connectTimeoutMs: number
  /** Unused connections close after this; 0 = never. */
  readonly idleTimeoutMs: number
  readonly outage: Outage
}

/** How long a connection that is replaced in good order has to finish. */
const retireSeconds = 60

/** One client and what it was given. */
interface Line {
  readonly client: postgres.Sql
  readonly dispatch: (statement: Statement) => unknown
  readonly canceller: unknown
  readonly open: Set<Statement>
  readonly since: number
  connected: boolean
  connecting: NodeJS.Timeout | null
  idle: NodeJS.Timeout | null
}

/** What stands in for a driver client that single statements are sent with. */
export function createLines(options: LinesOptions): postgres.Sql {
  const { outage } = options
  // Makes statements and listens; it has no connection for statements itself.
  const maker = options.open({ onclose: () => undefined, onparameter: () => undefined })
  const retiring = new Set<Promise<unknown>>()
  let ended: Promise<unknown> | null = null
  const lines: Line[] = Array.from({ length: options.count }, openLine)

  function openLine(): Line {
    const client = options.open({
      onclose: () => lose(line, 'CONNECTION_CLOSED'),
      onparameter: () => {
        line.connected = true
        stopTimer(line, 'connecting')
      },
    })
    const sample = asStatement(client`select 1`)
    if (sample === null) throw new Error('the driver does not make statements as it did')
    const line: Line = {
      client,
      dispatch: sample.handler,
      canceller: sample.canceller,
      open: new Set(),
      since: performance.now(),
      connected: false,
      connecting: null,
      idle: null,
    }
    return line
  }

  /** Puts a fresh client where `line` was; the old one has `seconds` to finish. */
  function replace(line: Line, seconds: number): Line {
    stopTimer(line, 'connecting')
    stopTimer(line, 'idle')
    const next = openLine()
    lines[lines.indexOf(line)] = next
    const closing: Promise<unknown> = line.client
      .end({ timeout: seconds })
      .catch(() => undefined)
      .finally(() => retiring.delete(closing))
    retiring.add(closing)
    return next
  }

  function lose(line: Line, code: string): void {
    if (lines.includes(line) && ended === null) {
      outage.lost()
      replace(line, 0)
    }
    abandon(line.open, connectionLost(code))
  }

  /** A connection that has nothing to do, else one that is not made yet, else the least busy. */
  function choose(): Line {
    let best: Line | undefined
    for (const line of lines) {
      if (line.open.size === 0 && line.connected) return line
      if (best === undefined || line.open.size < best.open.size) best = line
    }
    return best ?? openLine()
  }

  function send(statement: Statement): unknown {
    let line = choose()
    stopTimer(line, 'idle')
    if (line.open.size === 0 && performance.now() - line.since > maxAgeMs) line = replace(line, retireSeconds)
    const { open, dispatch } = line
    open.add(statement)
    statement.canceller = line.canceller
    onSettled(statement, (error) => {
      open.delete(statement)
      if (error === null) outage.answered()
      if (open.size === 0) fallIdle(line)
    })
    if (!line.connected && line.connecting === null)
      line.connecting = setTimeout(() => lose(line, 'CONNECT_TIMEOUT'), options.connectTimeoutMs)
    return dispatch(statement)
  }

  function fallIdle(line: Line): void {
    if (options.idleTimeoutMs <= 0 || ended !== null || !line.connected || line.idle !== null) return
    line.idle = setTimeout(() => {
      line.idle = null
      if (line.open.size === 0 && ended === null && lines.includes(line)) replace(line, retireSeconds)
    }, options.idleTimeoutMs)
    line.idle.unref()
  }

  function run(statement: Statement): unknown {
    if (ended !== null) return statement.reject(poolClosed())
    return send(statement)
  }

  /** A statement that goes out over a line once somebody waits for it. */
  function ours<T>(value: T): T {
    const statement = asStatement(value)
    if (statement === null) return value
    statement.handler = (self) => {
      const wait = outage.waitMs()
      if (wait === 0) return run(self)
      let settled = false
      onSettled(self, () => {
        settled = true
      })
      return setTimeout(() => settled || run(self), wait)
    }
    return value
  }

  return Object.assign(
    ((...parameters: Parameters<postgres.Sql>) => ours(maker(...parameters))) as postgres.Sql,
    maker,
    {
      unsafe: (...parameters: Parameters<postgres.Sql['unsafe']>) => ours(maker.unsafe(...parameters)),
      end: (how: { timeout?: number } = {}) => {
        ended ??= (async () => {
          for (const line of lines) stopTimer(line, 'idle')
          await Promise.all([maker.end(how), ...lines.map(({ client }) => client.end(how)), ...retiring])
          for (const line of lines) stopTimer(line, 'connecting')
        })()
        return ended
      },
    },
  )
}

function stopTimer(line: Line, which: 'connecting' | 'idle'): void {
  const timer = line[which]
  if (timer !== null) clearTimeout(timer)
  line[which] = null
}
