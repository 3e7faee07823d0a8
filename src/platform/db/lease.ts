/**
 * Connections to hold: for a transaction, or for a session lock. Each is a driver client of one
 * connection, because the driver's own `begin` and `reserve` are not safe when the server goes
 * away: they write to a connection that is gone (which ends the process), or after it reconnected
 * they run the statement there, outside of its transaction. A lease learns at once that its
 * connection is lost: every open statement rejects, no further one is sent, and the client is
 * thrown away.
 */
import type postgres from 'postgres'
import { abandon, asStatement, onSettled, type Statement } from './statement.ts'
import { connectionLost, poolClosed } from './unavailable.ts'

export interface Lease {
  /** Statements of this connection, in order. `onError` hears of each failure before its caller does. */
  sql(onError?: (error: unknown) => void): postgres.Sql
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>
  readonly isLost: () => boolean
  /** Gives the connection back; afterwards nothing more can be sent on it. */
  release(): void
  /** Ends the connection instead of giving it back: its session is in a state nobody should inherit. */
  discard(): void
}

export interface LeasePool {
  /** Waits for a free connection. */
  take(): Promise<Lease>
  end(options: { readonly timeout: number }): Promise<void>
}

export interface LeasePoolOptions {
  readonly max: number
  /** Opens a client of one connection that never closes it by itself. */
  readonly open: (onclose: () => void) => postgres.Sql
  /** Free connections close after this; 0 = never. */
  readonly idleTimeoutMs: number
}

/** A connection is not given out again past this age: load balancers and rotated credentials want new ones. */
export const maxAgeMs = 45 * 60_000

interface Line {
  readonly client: postgres.Sql
  readonly openedAt: number
  freeSince: number
  /** Set while leased. */
  onLost: (() => void) | null
}

export function createLeasePool(options: LeasePoolOptions): LeasePool {
  const lines = new Set<Line>()
  const free: Line[] = []
  const waiting: { resolve: (line: Line) => void; reject: (error: Error) => void }[] = []
  let ending: Promise<void> | null = null
  let sweeper: NodeJS.Timeout | null = null

  function openLine(): Line {
    const line: Line = {
      client: options.open(() => {
        drop(line)
        line.onLost?.()
      }),
      openedAt: performance.now(),
      freeSince: 0,
      onLost: null,
    }
    lines.add(line)
    return line
  }

  function drop(line: Line): void {
    if (!lines.delete(line)) return
    const at = free.indexOf(line)
    if (at >= 0) free.splice(at, 1)
    line.client.end({ timeout: 0 }).catch(() => undefined)
    const next = ending === null ? waiting.shift() : undefined
    next?.resolve(openLine())
  }

  function giveBack(line: Line): void {
    line.onLost = null
    if (!lines.has(line)) return
    if (performance.now() - line.openedAt > maxAgeMs) {
      drop(line)
      return
    }
    const next = waiting.shift()
    if (next) {
      next.resolve(line)
      return
    }
    line.freeSince = performance.now()
    free.push(line)
    sweep()
  }

  function sweep(): void {
    if (options.idleTimeoutMs <= 0 || sweeper !== null || free.length === 0 || ending !== null) return
    sweeper = setTimeout(() => {
      sweeper = null
      const oldest = performance.now() - options.idleTimeoutMs
      for (const line of free.filter(({ freeSince }) => freeSince <= oldest)) drop(line)
      sweep()
    }, options.idleTimeoutMs)
    sweeper.unref()
  }

  async function freeLine(): Promise<Line> {
    if (ending !== null) throw poolClosed()
    // The one used last: the others may fall idle.
    const line = free.pop()
    if (line) return line
    if (lines.size < options.max) return openLine()
    return await new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
    })
  }

  return {
    take: async () => leaseOf(await freeLine(), giveBack, drop),
    end: (how) => {
      ending ??= (async () => {
        if (sweeper !== null) clearTimeout(sweeper)
        for (const { reject } of waiting.splice(0)) {
          reject(poolClosed())
        }
        await Promise.all([...lines].map((line) => line.client.end(how)))
      })()
      return ending
    },
  }
}

function leaseOf(line: Line, giveBack: (line: Line) => void, drop: (line: Line) => void): Lease {
  let state: 'held' | 'lost' | 'released' = 'held'
  const open = new Set<Statement>()
  let reportLoss: (error: unknown) => void = () => undefined
  const lost = new Promise<never>((_, reject) => {
    reportLoss = reject
  })
  lost.catch(() => undefined)

  line.onLost = () => {
    if (state !== 'held') return
    state = 'lost'
    const error = connectionLost()
    abandon(open, error)
    reportLoss(error)
  }

  function guard<T>(value: T, onError: ((error: unknown) => void) | undefined): T {
    const statement = asStatement(value)
    if (statement === null) return value
    const { handler } = statement
    onSettled(statement, (error) => {
      open.delete(statement)
      if (error !== null) onError?.(error)
    })
    statement.handler = (self) => {
      if (state === 'lost') {
        return self.reject(connectionLost())
      }
      if (state === 'released') {
        return self.reject(new Error('a statement came after the end of its transaction or lease'))
      }
      open.add(self)
      return handler(self)
    }
    return value
  }

  function end(how: (line: Line) => void): void {
    if (state === 'held') {
      state = 'released'
      line.onLost = null
      how(line)
    }
  }

  const { client } = line
  return {
    lost,
    isLost: () => state === 'lost',
    // A statement still under way would be the next holder's.
    release: () => end(open.size === 0 ? giveBack : drop),
    discard: () => end(drop),
    sql: (onError) =>
      Object.assign(
        ((...parameters: Parameters<postgres.Sql>) => guard(client(...parameters), onError)) as postgres.Sql,
        client,
        {
          unsafe: (...parameters: Parameters<postgres.Sql['unsafe']>) =>
            guard(client.unsafe(...parameters), onError),
        },
      ),
  }
}
