/**
 * The web console's side of the control role (sdk-cli-console §13): its pages, and the API that they and nobody
 * else may use. Every request is looked at in this order: a path that hides where it leads and the size of the
 * body (in front of all routes), the page it comes from, who is signed in. Nothing is sent on before.
 */
import type { Context, Hono } from 'hono'
import type { AdminAudit } from '../../../platform/admin-audit/gate.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { HealthReport } from '../../../platform/role.ts'
import type { Authenticator } from '../authenticate.ts'
import type { Control } from '../control.ts'
import type { ControlGate } from '../invoke/gate.ts'
import type { ZoneStandings } from '../zone-standings.ts'
import { mountAccount } from './account-routes.ts'
import { createAccounts } from './accounts.ts'
import { createAdmissions } from './admission.ts'
import { mountAuth } from './auth-routes.ts'
import { createBeginSession } from './begin-session.ts'
import { type BuiltApp, readBuiltApp } from './built-app.ts'
import { mountControlEndpoint } from './control-endpoint.ts'
import { createSecretCookie, SESSION } from './cookie.ts'
import { createDiagnostics } from './diagnostics.ts'
import { limitOperator } from './limits.ts'
import { createOriginCheck, isSafe } from './origins.ts'
import { createPages } from './pages.ts'
import { API } from './paths.ts'
import { profilesOf } from './profiles.ts'
import { serverUrls } from './server-urls.ts'
import { createSessions, type Operator } from './sessions.ts'
import { type SocialEndpoints, socialEndpoints } from './social/endpoints.ts'
import { createIdentities } from './social/identities.ts'
import { createSocialProviders } from './social/providers.ts'
import { mountSocial } from './social/routes.ts'
import { createStatus } from './status.ts'
import { systemZonesFor } from './system-zones.ts'
import { askControl } from './to-control.ts'
import { askCoordinator } from './to-coordinator.ts'

export interface ConsoleDeps {
  readonly control: Control
  readonly authenticator: Authenticator
  readonly standings: ZoneStandings
  readonly ready: () => Promise<HealthReport>
  /** The switch of Control invoke. */
  readonly gate: ControlGate
  /** The ledger of the changes that do not go through the management API. */
  readonly audit: AdminAudit
  /** Where the built app is, when not in its place in the package. */
  readonly directory?: string
  /** Where Google and GitHub answer, when not where they do. */
  readonly socialEndpoints?: SocialEndpoints
}

/** Registers the console on the app of control; the pages are for whoever serves them at other paths too. */
export function mountConsole(app: Hono, deps: ConsoleDeps): { readonly pages: (c: Context) => Response } {
  const { control, standings } = deps
  const cookie = createSecretCookie(control, SESSION)
  const admissions = createAdmissions(control)
  const sessions = createSessions(control, admissions)
  const checkOrigin = createOriginCheck(control)
  const status = createStatus(control, deps.ready)
  const diagnostics = createDiagnostics(control, deps.ready)
  const built: BuiltApp = readBuiltApp(deps.directory)
  const pages = createPages(control, built)
  const operatorOf = (c: Context): Promise<Operator> => sessions.operatorOf(cookie.read(c))

  app.use(`${API}/*`, async (c, next) => {
    checkOrigin(c)
    await next()
  })
  // A method that no `Request` can have, so that nothing could be sent on (Fetch, "forbidden method").
  app.on('TRACE', `${API}/*`, () => {
    throw errorOf('not_found')
  })

  const beginSession = createBeginSession(sessions, cookie)
  const providers = createSocialProviders(control, deps.socialEndpoints ?? socialEndpoints)
  const accounts = createAccounts(control, admissions, [...providers.keys()])
  mountAuth(app, {
    control,
    cookie,
    operatorOf,
    beginSession,
    authenticator: deps.authenticator,
    accounts,
  })
  const identities = createIdentities(control, admissions, providers)
  mountSocial(app, { control, providers, identities, operatorOf, beginSession })
  mountAccount(app, { control, accounts, cookie, operatorOf, onDeleted: () => diagnostics.forget() })

  /** One line for each change, under the request id that the administrative ledger has (§13.2). */
  async function recorded(
    c: Context,
    { principal }: Operator,
    send: () => Promise<Response>,
  ): Promise<Response> {
    if (isSafe(c.req.method)) return send()
    const { method, path } = c.req
    const { log } = requestContext(c)
    diagnostics.forget()
    try {
      const response = await send()
      log.info({ operator_id: principal.id, method, path, status: response.status }, 'console_change')
      return response
    } catch (error) {
      log.info({ operator_id: principal.id, method, path, refused: true }, 'console_change')
      throw error
    } finally {
      diagnostics.forget()
    }
  }

  app.all(`${API}/v1/*`, async (c) => {
    const operator = await operatorOf(c)
    return recorded(c, operator, () => askControl(c, app, standings, operator))
  })
  app.all(`${API}/coord/*`, async (c) => {
    const operator = await operatorOf(c)
    return recorded(c, operator, () => askCoordinator(c, control, standings, operator))
  })

  mountControlEndpoint(app, {
    control,
    standings,
    operatorOf,
    recorded,
    gate: deps.gate,
    audit: deps.audit,
  })

  /** A small read of the console's own. */
  const read = (path: string, answer: (c: Context, operator: Operator) => Promise<object>): void => {
    app.get(`${API}/${path}`, async (c) => {
      const operator = await operatorOf(c)
      await limitOperator(c, control, operator.principal.id)
      return c.json(await answer(c, operator))
    })
  }
  read('status', async (c) => {
    const urls = serverUrls(c, control)
    return { ...(await status()), ...(urls === null ? {} : { urls }) }
  })
  read('diagnostics', (_c, { principal }) => diagnostics.reportFor(principal))
  read('system-zones', async (_c, { principal }) => ({ items: await systemZonesFor(control, principal) }))
  read('profiles', async (c) => ({ profiles: await profilesOf(control, c.req.query('ids') ?? '') }))

  app.all(`${API}/*`, async (c) => {
    await operatorOf(c)
    throw errorOf('not_found')
  })

  for (const path of ['/console', '/console/*', '/assets/*', '/favicon.svg']) app.get(path, pages)
  return { pages }
}
