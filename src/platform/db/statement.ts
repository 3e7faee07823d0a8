/**
 * The parts of the driver's statement object (postgres 3.4.9) that the pool's bookkeeping leans on.
 * A statement is lazy: its `handler` runs when somebody first waits for it, `resolve` or `reject`
 * settles it, and `state` is null until it was sent. The driver offers no event for any of these.
 */
export interface Statement extends Promise<unknown> {
  handler: (self: Statement) => unknown
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
  readonly state: unknown
  /** What `cancel` calls: it knows the queue of one client. */
  canceller: unknown
  /** Takes a statement that was not sent yet out of its queue. */
  cancel(): void
}

/**
 * Has a statement planned for the values at hand, each time. A prepared one soon gets one plan for all
 * values, and a list narrowed to a value half of the zone has needs another than one narrowed to a rare
 * value. Costs a round trip: for lists, not for hot paths.
 */
export function plannedForItsValues<T extends object>(statement: T): T {
  const { options } = statement as { readonly options?: { prepare?: boolean } }
  if (options === undefined) throw new Error('not a statement of this driver')
  options.prepare = false
  return statement
}

/** Identifiers and value lists come out of the same call as statements, but are never run. */
export function asStatement(value: unknown): Statement | null {
  const statement = value as Partial<Statement> | null
  return typeof statement === 'object' &&
    statement !== null &&
    typeof statement.handler === 'function' &&
    typeof statement.resolve === 'function' &&
    typeof statement.reject === 'function'
    ? (statement as Statement)
    : null
}

/** Calls `done` once, when the statement settles, and before whoever waits for it goes on. */
export function onSettled(statement: Statement, done: (error: unknown) => void): void {
  const { resolve, reject } = statement
  let settled = false
  const settle = (error: unknown) => {
    if (!settled) done(error)
    settled = true
  }
  statement.resolve = (value) => {
    settle(null)
    resolve(value)
  }
  statement.reject = (reason) => {
    settle(reason)
    reject(reason)
  }
}

/**
 * Rejects what is open on a connection that was lost. What was not sent yet must not run on a connection
 * the driver might open next.
 */
export function abandon(open: Iterable<Statement>, error: Error): void {
  for (const statement of [...open]) {
    const unsent = statement.state === null
    statement.reject(error)
    if (unsent) statement.cancel()
  }
}
