/**
 * `POST /v1/control/invoke` (control-api §9.4): one command by one single-use token, as a
 * visible list of steps. Every outcome leaves a `control.invoke` event; an allow is
 * reported only when its event is durable.
 */
import type { Context, Hono } from 'hono'
import type { AdminAudit } from '../../../platform/admin-audit/gate.ts'
import type { CaracalError } from '../../../platform/errors.ts'
import { readBearer } from '../../../platform/http/bearer.ts'
import { limitBody, readJson } from '../../../platform/http/body.ts'
import { toCaracalError } from '../../../platform/http/render-error.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { Control } from '../control.ts'
import { auditEvent, singleLine } from '../events.ts'
import type { Principal } from '../principal.ts'
import { retryAfter } from '../retry-after.ts'
import type { Route } from '../route.ts'
import { isLiveAuthority } from '../store/authority.ts'
import { askCoordinator } from './ask-coordinator.ts'
import { createBuckets } from './bucket.ts'
import { catalog } from './catalog.ts'
import type { Subcommand } from './command.ts'
import { describeCatalog } from './describe.ts'
import { asInvokeError, type Caller, createDispatcher } from './dispatch.ts'
import { type Flags, readFlags } from './flags.ts'
import type { ControlGate } from './gate.ts'
import { refuse } from './refusal.ts'
import { createReconciler, readDocument, readObject } from './state-document.ts'
import { type ControlToken, createTokenVerifier } from './verify-token.ts'

export const INVOKE_PATH = '/v1/control/invoke'
const BODY_BYTES = 262_144

interface InvokeRequest {
  readonly command: string
  readonly subcommand: string
  readonly flags: unknown
}

/** What the evidence of a call says; filled in as far as the call came. */
interface Evidence {
  zoneId: string
  subject: string
  jti: string
  clientId: string
  command: string
  subcommand: string
  idempotencyKey: string
}

const withoutNul = (value: string): string => value.replaceAll('\0', '')
const short = (value: unknown): string =>
  typeof value === 'string' ? withoutNul(singleLine(value)).slice(0, 256) : ''

function readRequest(body: unknown): InvokeRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw refuse('invalid', 'the body must be an object')
  }
  const { command, subcommand, flags } = body as Record<string, unknown>
  if (typeof command !== 'string') throw refuse('invalid', 'command must be text')
  if (subcommand !== undefined && typeof subcommand !== 'string')
    throw refuse('invalid', 'subcommand must be text')
  return { command, subcommand: subcommand ?? '', flags }
}

function subcommandOf(request: InvokeRequest): Subcommand {
  const command = Object.hasOwn(catalog, request.command) ? catalog[request.command] : undefined
  if (command === undefined) throw refuse('denied', 'unknown command')
  const only = Object.hasOwn(command.subcommands, '') ? command.subcommands[''] : undefined
  const named = Object.hasOwn(command.subcommands, request.subcommand)
    ? command.subcommands[request.subcommand]
    : undefined
  const subcommand = only ?? named
  if (subcommand === undefined) throw refuse('denied', 'unknown subcommand')
  return subcommand
}

function requireScope(token: ControlToken, scope: string | null): void {
  if (scope !== null && !token.scopes.includes(scope)) throw refuse('denied', `missing scope ${scope}`)
  if (scope === null && token.scopes.length === 0) throw refuse('denied', 'the token holds no scope')
}

/** Acts with write access in its own zone only; sees traits and the control resource but never changes them. */
function principalOf(token: ControlToken): Principal {
  return {
    kind: 'control',
    id: token.subject,
    name: 'control',
    zoneId: token.zoneId,
    capability: 'write',
    bootstrap: false,
    derived: false,
    seesEverything: true,
    managesControl: false,
    bindings: null,
    accountId: null,
    expiresAt: null,
    attributedTo: 'admin:control',
  }
}

const MINUTE_MS = 60_000

const rateLimited = (evidence: string, waitMs: number, cause?: unknown) =>
  refuse('rate_limited', 'too many requests', { evidence, cause, headers: retryAfter(waitMs) })

interface InvokeDeps {
  readonly control: Control
  readonly gate: ControlGate
  readonly routes: readonly Route[]
  /** The ledger of the inner management changes. */
  readonly audit: AdminAudit
}

/** Registers the route. */
export function mountInvoke(app: Hono, { control, gate, routes, audit }: InvokeDeps): void {
  const { settings } = control
  const verifier = createTokenVerifier(control)
  const dispatcher = createDispatcher(control, routes, audit)
  const reconcile = createReconciler(dispatcher, settings.CONTROL_AUDIENCE)
  const waitOf = createBuckets(settings.CONTROL_RATE_CAPACITY, settings.CONTROL_RATE_WINDOW_SEC * 1000)

  async function requireOpenGate(): Promise<void> {
    if (await gate.isOpen()) return
    throw refuse('control_disabled', 'Control is disabled', { evidence: 'control disabled' })
  }

  /** Fails closed: without its counter nobody gets through. */
  async function limitAddress(clientIp: string): Promise<void> {
    const limit = settings.CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN
    if (limit === 0) return
    const counter = await control.ephemera
      .countInWindow(`api:control_invoke_ip:${clientIp}`, MINUTE_MS)
      .catch((cause: unknown) => {
        throw rateLimited('ip rate limited', MINUTE_MS, cause)
      })
    if (counter.count > limit) throw rateLimited('ip rate limited', counter.remainingMs)
  }

  /** Nothing announces to a token on its way that it has been revoked, so each is looked up. */
  async function requireLiveAuthority(token: ControlToken): Promise<void> {
    if (await isLiveAuthority(control.db, token)) return
    throw refuse('unauthorized', 'the token is not valid', { evidence: 'auth: revoked' })
  }

  /** Only the assistant's reserved identities may act elsewhere, and there are none. */
  function requireOwnZone(header: string | undefined, token: ControlToken): void {
    if (header === undefined || header === token.zoneId) return
    throw refuse('denied', 'the token is for another zone', {
      evidence: 'zone scope: not a reserved identity',
    })
  }

  async function spareControlKeys(caller: Caller, flags: Flags): Promise<void> {
    const application = await dispatcher.call(caller, 'getApplication', {
      params: { id: flags.required('id') },
    })
    const traits = (application as { traits?: readonly string[] }).traits ?? []
    if (!traits.includes('control:invoke')) return
    throw refuse('denied', 'a Control key cannot be changed through Control', {
      remediation: 'use the admin API or the console',
    })
  }

  async function execute(
    caller: Caller,
    subcommand: Subcommand,
    flags: Flags,
    token: ControlToken,
  ): Promise<unknown> {
    const { action } = subcommand
    if (subcommand.sparesControlKeys === true) await spareControlKeys(caller, flags)
    switch (action.kind) {
      case 'call':
        return dispatcher.call(caller, action.operationId, action.input(flags))
      case 'drain':
        return dispatcher.drain(caller, action.operationId, action.input(flags))
      case 'page':
        return dispatcher.page(caller, action.operationId, action.input(flags))
      case 'coordinator':
        return askCoordinator(control, caller, action, flags)
      case 'state':
        return reconcile(caller, {
          objects: readDocument(flags.json('document'), caller.zoneId),
          dryRun: action.mode !== 'apply' || flags.boolean('dry-run'),
          prune: flags.boolean('prune'),
          scopes: token.scopes,
        })
      case 'ensure':
        return reconcile(caller, {
          objects: [readObject(action.object, flags.json('spec'), caller.zoneId)],
          dryRun: flags.boolean('dry-run'),
          prune: false,
          scopes: token.scopes,
        })
      case 'describe':
        return describeCatalog()
    }
  }

  async function record(
    evidence: Evidence,
    requestId: string,
    decision: 'allow' | 'deny',
    reason: string,
  ): Promise<void> {
    const event = auditEvent(
      {
        zoneId: evidence.zoneId,
        eventType: 'control.invoke',
        decision,
        requestId,
        metadata: {
          subject: evidence.subject,
          jti: evidence.jti,
          client_id: evidence.clientId,
          command: evidence.command,
          subcommand: evidence.subcommand,
          reason: withoutNul(reason).slice(0, 512),
          idempotency_key: evidence.idempotencyKey,
          authorized_by: '',
        },
      },
      control.keys.audit,
    )
    await control.db.transaction((tx) => control.outbox.enqueue(tx, 'control', [event]))
  }

  async function run(c: Context, evidence: Evidence): Promise<unknown> {
    const { clientIp, requestId } = requestContext(c)
    await requireOpenGate()
    await limitAddress(clientIp)
    const bearer = readBearer(c)
    const token = await verifier.accept(bearer)
    Object.assign(evidence, {
      zoneId: token.zoneId,
      subject: short(token.subject),
      jti: short(token.jti),
      clientId: short(token.clientId),
    })
    const waitMs = waitOf(token.subject)
    if (waitMs > 0) throw rateLimited('rate limited', waitMs)
    await requireLiveAuthority(token)
    limitBody(c, BODY_BYTES)
    const request = readRequest((await readJson(c)).value)
    evidence.command = short(request.command)
    evidence.subcommand = short(request.subcommand)
    requireOwnZone(c.req.header('x-caracal-zone-scope'), token)
    const subcommand = subcommandOf(request)
    const flags = readFlags(request.flags)
    evidence.idempotencyKey = short(flags.text('idempotency-key'))
    requireScope(token, subcommand.scope)
    const caller: Caller = {
      principal: principalOf(token),
      zoneId: token.zoneId,
      requestId,
      clientIp,
      signal: c.req.raw.signal,
    }
    return execute(caller, subcommand, flags, token)
  }

  app.post(INVOKE_PATH, async (c) => {
    const { requestId, log } = requestContext(c)
    const evidence: Evidence = {
      zoneId: 'unknown',
      subject: '',
      jti: '',
      clientId: '',
      command: '',
      subcommand: '',
      idempotencyKey: '',
    }
    let result: unknown
    try {
      result = await run(c, evidence)
    } catch (thrown) {
      const told = asTold(thrown)
      await record(evidence, requestId, 'deny', told.detail ?? told.message).catch((error: unknown) => {
        log.warn({ err: error }, 'control_invoke_evidence_failed')
      })
      throw told
    }
    await record(evidence, requestId, 'allow', '').catch((cause: unknown) => {
      throw refuse('audit_unavailable', 'the change was applied but its evidence could not be kept', {
        cause,
      })
    })
    return c.json(result === undefined ? { ok: true } : { ok: true, result })
  })
}

/** Errors of the HTTP layer keep their own status (413, 415); everything else becomes one of Control's codes. */
function asTold(thrown: unknown): CaracalError {
  const error = toCaracalError(thrown)
  if (error.code === 'payload_too_large' || error.code === 'unsupported_media_type') return error
  if (error.code === 'internal_error') return refuse('upstream', 'upstream error', { cause: thrown })
  return asInvokeError(error)
}
