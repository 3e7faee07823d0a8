/**
 * Running a management operation for a Control key, in this process: the same declaration,
 * the same checks, the same ledger as over HTTP (control-api §9.7).
 */
import { summaryForRecord } from '../../../platform/admin-audit/change-summary.ts'
import { entityOf } from '../../../platform/admin-audit/entity.ts'
import type { AdminAudit } from '../../../platform/admin-audit/gate.ts'
import { CaracalError } from '../../../platform/errors.ts'
import type { Control } from '../control.ts'
import { ledgerRules, reachOf } from '../ledger.ts'
import { perform } from '../perform.ts'
import { type Principal, scopeOf } from '../principal.ts'
import type { Reply, Route } from '../route.ts'
import type { ManagementInput } from './command.ts'
import { invokeCodeOf, refuse } from './refusal.ts'

export interface Caller {
  readonly principal: Principal
  readonly zoneId: string
  readonly requestId: string
  readonly clientIp: string
  readonly signal: AbortSignal
}

export interface Dispatcher {
  /** The answer's body. Throws the management error as it is. */
  call(caller: Caller, operationId: string, input: ManagementInput): Promise<unknown>
  /** Every page of a list. */
  drain(caller: Caller, operationId: string, input: ManagementInput): Promise<unknown[]>
  /** The items of one page. */
  page(caller: Caller, operationId: string, input: ManagementInput): Promise<unknown[]>
}

const MAX_PAGES = 1000

/** The path of the operation with its parameters filled in, as the ledger records it. */
function pathOf(route: Route, params: Readonly<Record<string, string>>): string {
  return route.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
}

export function createDispatcher(control: Control, routes: readonly Route[], audit: AdminAudit): Dispatcher {
  const byId = new Map(routes.map((route) => [route.operationId, route]))

  async function record(
    caller: Caller,
    route: Route,
    path: string,
    status: number,
    input: ManagementInput,
    body: unknown,
  ) {
    const createdId =
      status === 201 && typeof body === 'object' && body !== null ? (body as { id?: unknown }).id : null
    const entity = entityOf(path, typeof createdId === 'string' ? createdId : null, ledgerRules)
    const summary = summaryForRecord(
      { method: route.method, path, body: input.body },
      ledgerRules,
      control.log,
    )
    const action = {
      requestId: caller.requestId,
      actor: { id: caller.principal.id, name: caller.principal.name, scope: scopeOf(caller.principal) },
      action: `${route.method} ${path}`,
      method: route.method,
      path,
      zoneId: caller.zoneId,
      entityType: entity.type,
      entityId: entity.id,
      statusCode: status,
      payload: { ...reachOf(caller.principal), ...(status < 400 ? summary : null) },
    }
    if (status >= 400) return audit.recordLater(action)
    if (route.method === 'GET') return
    await audit.record(action).catch((cause: unknown) => {
      throw refuse('audit_unavailable', 'the change was applied but could not be recorded', { cause })
    })
  }

  async function run(caller: Caller, operationId: string, input: ManagementInput): Promise<Reply> {
    const route = byId.get(operationId)
    if (route === undefined) throw refuse('unsupported', 'this command is not available here')
    const params = { ...(route.path.includes('{zoneId}') ? { zoneId: caller.zoneId } : {}), ...input.params }
    const path = pathOf(route, params)
    try {
      const reply = await perform(control, route, {
        principal: caller.principal,
        requestId: caller.requestId,
        params,
        query: input.query ?? {},
        body: input.body,
        signal: caller.signal,
        clientIp: caller.clientIp,
        accept: 'application/json',
      })
      await record(caller, route, path, reply.status, input, reply.body)
      return reply
    } catch (error) {
      if (error instanceof CaracalError && error.code !== 'audit_unavailable') {
        await record(caller, route, path, error.status, input, null)
      }
      throw error
    }
  }

  async function bodyOf(caller: Caller, operationId: string, input: ManagementInput): Promise<unknown> {
    const reply = await run(caller, operationId, input)
    // Answers turn dates into text once, so that callers compare what a client would see.
    const body: unknown = reply.body === undefined ? undefined : JSON.parse(JSON.stringify(reply.body))
    if (reply.status < 400) return body
    const { error, error_description } = (body ?? {}) as { error?: string; error_description?: string }
    throw new CaracalError(error ?? 'upstream', { status: reply.status, message: error_description ?? '' })
  }

  const itemsOf = (body: unknown) => body as { items: unknown[]; next_cursor: string | null }

  return {
    call: bodyOf,
    async page(caller, operationId, input) {
      return itemsOf(await bodyOf(caller, operationId, input)).items
    },
    async drain(caller, operationId, input) {
      const all: unknown[] = []
      let cursor: string | null = null
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const query = { ...input.query, limit: '500', ...(cursor === null ? {} : { cursor }) }
        const { items, next_cursor } = itemsOf(await bodyOf(caller, operationId, { ...input, query }))
        all.push(...items)
        if (next_cursor === null) return all
        cursor = next_cursor
      }
      throw refuse('upstream', 'the list is too long')
    },
  }
}

/** A management error as Control tells it: `<code>: <description>` under Control's own code. */
export function asInvokeError(error: unknown): CaracalError {
  if (!(error instanceof CaracalError)) return refuse('upstream', 'upstream error', { cause: error })
  if (error.code in ownCodes) return error
  const reason = error.message === '' ? error.code : `${error.code}: ${error.message}`
  return refuse(invokeCodeOf(error.status), reason, { cause: error })
}

const ownCodes: Readonly<Record<string, true>> = {
  control_disabled: true,
  rate_limited: true,
  unauthorized: true,
  token_replay: true,
  denied: true,
  invalid: true,
  not_found: true,
  conflict: true,
  zone_mismatch: true,
  unsupported: true,
  upstream: true,
  audit_unavailable: true,
}
