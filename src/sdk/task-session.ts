/** `session(fn)`: a governed session around one piece of work (sdk-cli-console §4.2). */
import { beginSession, type SessionOptions } from './begin-session.ts'
import { type CaracalContext, runInContext } from './context.ts'
import { type ClientCore, endSession } from './core.ts'

export type SessionHook = (context: CaracalContext) => void | Promise<void>

export interface SessionHooks {
  readonly start: ReadonlySet<SessionHook>
  readonly end: ReadonlySet<SessionHook>
}

/** Starts, runs `fn` under the session's context, ends. The work's own failure goes before that of the end. */
export async function runSession<T>(
  core: ClientCore,
  hooks: SessionHooks,
  fn: (context: CaracalContext) => T | Promise<T>,
  options: SessionOptions,
): Promise<T> {
  const { context, session, tokens, trace } = await beginSession(core, options, 'task')
  let outcome: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }
  try {
    for (const hook of hooks.start) await hook(context)
    outcome = { ok: true, value: await runInContext(context, () => fn(context)) }
  } catch (error) {
    outcome = { ok: false, error }
  }
  const failures: unknown[] = []
  for (const hook of hooks.end) {
    try {
      await hook(context)
    } catch (error) {
      failures.push(error)
    }
  }
  try {
    await endSession(core, tokens, { zoneId: context.zoneId, sessionId: session.sessionId, trace })
  } catch (error) {
    failures.push(error)
  }
  if (!outcome.ok) {
    for (const failure of failures) core.warn('a session did not end cleanly', failure)
    throw outcome.error
  }
  if (failures.length > 0) throw failures[0]
  return outcome.value
}
