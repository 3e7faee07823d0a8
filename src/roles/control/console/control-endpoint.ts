/**
 * The Control endpoint on the console (sdk-cli-console §13.2): whether it answers, its switch, and tokens for
 * it. Anybody who is signed in sees the state. The rest belongs to the deployment and not to a zone, so it takes
 * an operator who may change all of it, as for Control keys themselves, and stands in the administrative ledger.
 */
import type { Context, Hono } from 'hono'
import { type AdminAudit, adminAuditGate } from '../../../platform/admin-audit/gate.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import { parseBody } from '../../../platform/http/validate.ts'
import { idPattern } from '../../../platform/ids.ts'
import * as v from '../../../platform/schema.ts'
import { authorizeAdminToken } from '../authorize.ts'
import type { Control } from '../control.ts'
import { describeCatalog } from '../invoke/describe.ts'
import type { ControlGate } from '../invoke/gate.ts'
import { controlScopes } from '../invoke/scopes.ts'
import { ledgerGate, reachOf } from '../ledger.ts'
import { notFound } from '../not-found.ts'
import type { Principal } from '../principal.ts'
import { isReservedZone } from '../reserved.ts'
import type { ZoneStandings } from '../zone-standings.ts'
import { issueControlToken } from './issue-control-token.ts'
import { limitOperator } from './limits.ts'
import { API } from './paths.ts'
import type { Operator } from './sessions.ts'

interface ControlEndpointDeps {
  readonly control: Control
  readonly gate: ControlGate
  readonly audit: AdminAudit
  readonly standings: ZoneStandings
  readonly operatorOf: (c: Context) => Promise<Operator>
  /** Writes a change to the log. */
  readonly recorded: (c: Context, operator: Operator, send: () => Promise<Response>) => Promise<Response>
}

const PREFIX = `${API}/control`
/** How the ledger calls what the switch switches. */
const ENTITY = 'control-endpoint'

const id = v.pipe(v.string(), v.regex(idPattern))
/** The STS has its own bounds for a lifetime, and the key may have a lower one. */
const tokenRequest = v.strictObject({
  zone_id: id,
  application_id: id,
  scopes: v.pipe(v.array(v.picklist(controlScopes)), v.minLength(1), v.maxLength(controlScopes.length)),
  ttl_seconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3600))),
})

const manages = ({ managesControl, capability }: Principal): boolean =>
  managesControl && capability === 'write'

/** What the ledger says besides of a change that was made. */
const made = (principal: Principal) => ({ ...reachOf(principal), change_kind: 'action' })

export function mountControlEndpoint(app: Hono, deps: ControlEndpointDeps): void {
  const { control, gate, standings } = deps

  app.use(
    `${PREFIX}/*`,
    adminAuditGate({
      audit: deps.audit,
      ...ledgerGate,
      zoneOf: () => null,
    }),
  )

  /** Who is signed in, counted and named to the ledger. */
  async function operatorFor(c: Context): Promise<Operator> {
    const operator = await deps.operatorOf(c)
    c.set('controlPrincipal', operator.principal)
    await limitOperator(c, control, operator.principal.id)
    return operator
  }

  function requireManager(c: Context, principal: Principal): void {
    if (principal.bindings === null) {
      const { method, path } = c.req
      authorizeAdminToken(principal, { method, path }, { readTokenMayReveal: false })
    }
    if (!manages(principal)) throw errorOf('forbidden')
  }

  const stateFor = async (principal: Principal) => ({
    served: gate.served,
    switchable: gate.switchable,
    open: await gate.isOpen(),
    audience: control.settings.CONTROL_AUDIENCE,
    mayManage: manages(principal),
  })

  app.get(`${PREFIX}/status`, async (c) => {
    const { principal } = await operatorFor(c)
    return c.json(await stateFor(principal))
  })

  app.get(`${PREFIX}/catalog`, async (c) => {
    await operatorFor(c)
    return c.json({ scopes: controlScopes, commands: describeCatalog().commands })
  })

  const change = (path: string, make: (c: Context, principal: Principal) => Promise<object>): void => {
    app.post(`${PREFIX}/${path}`, async (c) => {
      const operator = await operatorFor(c)
      return deps.recorded(c, operator, async () => {
        requireManager(c, operator.principal)
        return c.json(await make(c, operator.principal))
      })
    })
  }

  const turn = (to: 'open' | 'closed') => async (c: Context, principal: Principal) => {
    c.set('adminAuditFacts', { entityType: ENTITY })
    await gate.turn(to)
    c.set('adminAuditFacts', { entityType: ENTITY, payload: made(principal) })
    return stateFor(principal)
  }
  change('enable', turn('open'))
  change('disable', turn('closed'))

  change('token', async (c, principal) => {
    const given = await parseBody(c, tokenRequest)
    const key = { zoneId: given.zone_id, entityType: 'applications', entityId: given.application_id }
    c.set('adminAuditFacts', key)
    await requireZone(principal, given.zone_id)
    const token = await issueControlToken(control, {
      zoneId: given.zone_id,
      applicationId: given.application_id,
      scopes: given.scopes,
      ttlSeconds: given.ttl_seconds,
      requestId: requestContext(c).requestId,
      signal: c.req.raw.signal,
    })
    c.set('adminAuditFacts', { ...key, payload: { ...made(principal), scopes: given.scopes } })
    return token
  })

  async function requireZone(principal: Principal, zoneId: string): Promise<void> {
    const zone = await standings.of(zoneId)
    if (zone === null || zone.archived) throw notFound('zone_not_found')
    if (!principal.bootstrap && isReservedZone(zone)) throw errorOf('system_zone_read_only')
  }
}
