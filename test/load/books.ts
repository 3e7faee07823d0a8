/** What the workers saw, kept for the invariants. */
import type { Disturbances } from './disturbances.ts'
import { type Answer, type AnsweringRole, isDocumented } from './documented-refusal.ts'

export interface Books {
  /** Request ids that were answered 2xx by the STS or the gateway. */
  readonly granted: string[]
  /** Request ids of gateway calls that nothing may let through. */
  readonly forbidden: string[]
  /** Refusals that nothing explains, with how often each was seen. */
  readonly unexplained: Readonly<Record<string, number>>
  /** Refusals while something was broken, as documented. */
  readonly explained: Readonly<Record<string, number>>
  readonly counts: Record<'sessions' | 'revocations' | 'replays' | 'approvals' | 'unrelated', number>
  /** What worked and must not have, each in a few words. */
  readonly broken: string[]
  /** Judges an answer that is not the one hoped for; `from`: when the request was sent. */
  refused(role: AnsweringRole, what: string, answer: Answer, from: number): void
  /** How many answers were judged so far. */
  refusals(): number
}

export function openBooks(disturbances: Disturbances): Books {
  const unexplained: Record<string, number> = {}
  const explained: Record<string, number> = {}
  const count = (book: Record<string, number>, line: string): void => {
    book[line] = (book[line] ?? 0) + 1
  }
  let judged = 0
  return {
    refusals: () => judged,
    granted: [],
    forbidden: [],
    unexplained,
    explained,
    broken: [],
    counts: { sessions: 0, revocations: 0, replays: 0, approvals: 0, unrelated: 0 },
    refused(role, what, answer, from) {
      judged += 1
      const cause = disturbances.during(from, performance.now())
      const said = answer.body
        .replace(/"(requestId|request_id)":"[^"]*",?/g, '')
        .replace(/eyJ[\w.-]+/g, '***')
        .slice(0, 200)
      if (cause !== null && isDocumented(role, answer, cause.cuts))
        count(explained, `${role} ${answer.status || 'no answer'}`)
      else
        count(
          unexplained,
          `${what}: ${role} ${answer.status} ${said} (${cause?.what ?? 'nothing was broken'})`,
        )
    },
  }
}
