/** `/approvals/{id}` (sts §8.7, §8.8) and its pre-1.0 name `/step-up/{id}` (§8.9). */
import type { Context, Hono } from 'hono'
import { CaracalError } from '../../../platform/errors.ts'
import { readBearer } from '../../../platform/http/bearer.ts'
import * as v from '../../../platform/schema.ts'
import { type Approvals, isHoldId } from '../approvals/approvals.ts'
import type { DecideAsSubject } from '../approvals/decide-as-subject.ts'
import type { DecisionWait } from '../approvals/decision-wait.ts'
import { type Hold, holdInstant } from '../approvals/hold.ts'
import { readBody } from '../form.ts'
import { invalidToken, resourceNotFound, unavailable } from '../refusal.ts'

export interface ApprovalRouteDeps {
  readonly approvals: Approvals
  readonly waits: DecisionWait
  readonly decide: DecideAsSubject
}

const longestWaitSeconds = 25
/** A wake-up may be lost with its connection: look again at least this often. */
const lookAgainMs = 5_000

export function mountApprovalRoutes(app: Hono, deps: ApprovalRouteDeps): void {
  for (const prefix of ['/approvals', '/step-up']) {
    app.get(`${prefix}/:id`, async (c) => c.json(holdStatus(await awaitHold(c, deps))))
    app.post(`${prefix}/:id/decision`, async (c) => {
      const id = c.req.param('id')
      if (!isHoldId(id)) throw unknownHold()
      const token = readBearer(c)
      if (token === null) {
        throw new CaracalError('invalid_token', {
          status: 401,
          message: 'bearer token required',
          headers: { 'www-authenticate': 'Bearer realm="caracal-sts"' },
        })
      }
      const decision = await readDecision(c)
      return c.json(holdStatus(await deps.decide({ holdId: id.toLowerCase(), token, ...decision })))
    })
  }
}

function holdStatus(hold: Hold) {
  return { id: hold.id, state: hold.state, expires_at: holdInstant(hold.expires_at) }
}

function unknownHold() {
  return resourceNotFound('approval does not exist')
}

/** The hold now, or as soon as it is decided, or at the deadline, or when the role is stopped. */
async function awaitHold(c: Context, deps: ApprovalRouteDeps): Promise<Hold> {
  const id = c.req.param('id') ?? ''
  if (!isHoldId(id)) throw unknownHold()
  const waitMs = readWait(c.req.query('wait'))
  const { signal } = c.req.raw
  const deadline = performance.now() + waitMs
  using watch = deps.waits.watch(id.toLowerCase())
  for (;;) {
    const hold = await find(deps, id)
    if (hold === null) throw unknownHold()
    const left = deadline - performance.now()
    if (hold.state !== 'pending' || left <= 0) return hold
    if (!(await watch.next(Math.min(left, lookAgainMs), signal))) return hold
  }
}

async function find(deps: ApprovalRouteDeps, id: string): Promise<Hold | null> {
  try {
    return await deps.approvals.find(id)
  } catch (error) {
    throw unavailable('store is unavailable', error)
  }
}

function readWait(text: string | undefined): number {
  if (text === undefined) return 0
  if (!/^[0-9]+$/.test(text)) throw invalidToken('wait must be a non-negative integer')
  return Math.min(Number(text), longestWaitSeconds) * 1000
}

const decisionBody = v.object({
  decision: v.picklist(['approved', 'rejected']),
  // Whatever it is, it is compared, and only after everything about the approver was checked.
  binding: v.fallback(v.string(), ''),
  reason: v.nullish(
    v.pipe(
      v.string(),
      // The store has no text with a NUL.
      v.check((text) => Buffer.byteLength(text, 'utf8') <= 500 && !text.includes('\0')),
    ),
    null,
  ),
})

async function readDecision(c: Context) {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(await readBody(c)).toString('utf8'))
  } catch (cause) {
    throw invalidToken('body is not a JSON document of at most 65536 bytes', 400, { cause })
  }
  const parsed = v.safeParse(decisionBody, document)
  if (!parsed.success) throw invalidToken('body is not a decision')
  const { decision, binding, reason } = parsed.output
  return { approved: decision === 'approved', binding, reason }
}
