/** The control role: the management API `/v1`, its documents, Control invoke and its background work. */

import type { Hono } from 'hono'
import { createAdminAudit } from '../../platform/admin-audit/gate.ts'
import { provisionStandingGroups } from '../../platform/bus/standing-groups.ts'
import {
  createEgressGuard,
  createLoopbackGuard,
  type EgressGuard,
} from '../../platform/egress/guarded-fetch.ts'
import { controlErrors, controlInvokeErrors } from '../../platform/http/error-style.ts'
import { fixedWindow } from '../../platform/http/rate-limit.ts'
import { requestContext } from '../../platform/http/request-context.ts'
import { createRoleApp, type RoleAppOptions } from '../../platform/http/role-app.ts'
import type { Role } from '../../platform/role.ts'
import { createAuditReceipts } from '../audit/index.ts'
import type { Sts } from '../sts/port.ts'
import { BODY_BYTES } from './console/forward.ts'
import { consoleFront } from './console/front.ts'
import { consoleHeaders } from './console/headers.ts'
import { mountConsole } from './console/mount-console.ts'
import { isApiPath, refuseDisguised } from './console/paths.ts'
import type { SocialEndpoints } from './console/social/endpoints.ts'
import type { Control, ControlPlatform, RoleDoor } from './control.ts'
import { createCredentials } from './credentials.ts'
import { createGuesses } from './guesses.ts'
import { mountRoutes } from './http.ts'
import { createControlGate } from './invoke/gate.ts'
import { INVOKE_PATH, mountInvoke } from './invoke/invoke.ts'
import { controlJobs } from './jobs.ts'
import { countSecretStore, registerControlMetrics } from './metrics.ts'
import { mountDocuments } from './openapi.ts'
import { createPlatformTokens } from './platform-token.ts'
import { createReadiness } from './readiness.ts'
import { LONGEST_WAIT_SECONDS } from './retry-after.ts'
import { managementRoutes } from './routes/index.ts'
import { seedAdminTokens } from './seed-admin-tokens.ts'
import { seedIam } from './seed-iam.ts'
import { createZoneStandings } from './zone-standings.ts'

export interface ControlDeps extends ControlPlatform {
  /** Policy status and simulation. `null` where no STS can be asked: activation then stays at `waiting_for_sts`. */
  readonly sts: Sts | null
  /**
   * The coordinator's app where it runs in this process. Otherwise its routes are asked at
   * `CARACAL_COORDINATOR_URL`, when that is set.
   */
  readonly coordinator?: RoleDoor
  /** The app of the STS where it runs in this process; otherwise asked at `STS_URL`, when that is set. */
  readonly stsDoor?: RoleDoor
  /** The guard for outbound calls; made from the settings unless given, and then owned by the giver. */
  readonly egress?: EgressGuard
  /** Where the built web console is, when not in its place in the package. */
  readonly consoleDirectory?: string
  /** Where Google and GitHub answer, when not where they do. */
  readonly socialEndpoints?: SocialEndpoints
}

export interface ControlRole extends Role {
  readonly name: 'control'
  /** What the listener for people serves: `app`, and the web console at every path left over. */
  readonly front: Hono
}

const HEADER_BYTES = 16_384
const HEADERS_TIMEOUT_MS = 15_000

/** Lower layers' failures as the codes of this surface. */
function appOptions(control: Control): Omit<RoleAppOptions, 'operations'> {
  return {
    log: control.log,
    metrics: control.metrics,
    tracer: control.tracer,
    errorStyle: controlErrors,
    errorStyleFor: (path) => (path === INVOKE_PATH ? controlInvokeErrors : null),
    requestIdRule: 'token',
    trustProxy: control.settings.TRUST_PROXY,
    bodyLimitBytes: control.settings.API_BODY_LIMIT_BYTES,
    bodyLimitFor: (path) => {
      if (path === INVOKE_PATH) return null
      return isApiPath(path) ? Math.min(BODY_BYTES, control.settings.API_BODY_LIMIT_BYTES) : undefined
    },
    privatePrefix: '/v1/',
    headersFor: consoleHeaders(control),
    before: refuseDisguised,
  }
}

/** Builds the role; nothing runs before `prepare` and the jobs are started by the host. */
export function createControl(deps: ControlDeps): ControlRole {
  const { settings } = deps
  const ownEgress =
    deps.egress === undefined
      ? createEgressGuard({
          privateHosts: settings.CARACAL_PRIVATE_EGRESS_HOSTS,
          extraCaFile: settings.CARACAL_TLS_EXTRA_CA_FILE,
        })
      : null
  const loopback = settings.CARACAL_MODE === 'dev' ? createLoopbackGuard() : null
  const control: Control = {
    ...deps,
    secrets: countSecretStore(deps.secrets, deps.metrics),
    egress: deps.egress ?? (ownEgress as EgressGuard),
    loopback,
    receipts:
      deps.cipher === null
        ? null
        : createAuditReceipts({ db: deps.db, cipher: deps.cipher, key: deps.keys.audit, log: deps.log }),
    logins: createGuesses(deps, 'login'),
    tokens: createPlatformTokens({
      db: deps.db,
      cipher: deps.cipher,
      issuer: settings.ISSUER_URL ?? settings.STS_ISSUER_URL ?? 'caracal',
    }),
    coordinator: deps.coordinator ?? (settings.CARACAL_COORDINATOR_URL === null ? null : fetch),
    stsDoor: deps.stsDoor ?? (settings.STS_URL === null ? null : fetch),
  }
  const gate = createControlGate(control)
  const audit = createAdminAudit({ db: control.db, key: control.keys.audit, log: control.log })
  const readiness = createReadiness(control)
  const roleApp = createRoleApp({
    ...appOptions(control),
    realm: 'caracal-control',
    operations: {
      mode: settings.CARACAL_MODE,
      metricsBearer: settings.METRICS_BEARER,
      health: () => ({ status: 200, body: { ok: true } }),
      ready: readiness,
      readyLimit: fixedWindow({
        ephemera: control.ephemera,
        limit: settings.READY_RATE_LIMIT_PER_MIN,
        key: (c) => `api:ready_rl:${requestContext(c).clientIp}`,
        onUnavailable: 'skip',
        retryAfterCap: LONGEST_WAIT_SECONDS,
      }),
    },
  })
  const credentials = createCredentials(control)
  const standings = createZoneStandings(control.db)
  const { pages } = mountConsole(roleApp.app, {
    control,
    standings,
    gate,
    audit,
    authenticator: credentials.authenticator,
    ready: readiness,
    ...(deps.consoleDirectory === undefined ? {} : { directory: deps.consoleDirectory }),
    ...(deps.socialEndpoints === undefined ? {} : { socialEndpoints: deps.socialEndpoints }),
  })
  mountDocuments(roleApp.app, managementRoutes, control)
  if (settings.CARACAL_CONTROL_ENABLED)
    mountInvoke(roleApp.app, { control, gate, routes: managementRoutes, audit })
  else roleApp.app.post(INVOKE_PATH, (c) => c.notFound())
  mountRoutes(roleApp.app, managementRoutes, {
    control,
    credentials,
    audit,
    standings,
  })
  registerControlMetrics(control)
  let principals: AsyncDisposable | null = null
  return {
    name: 'control',
    app: roleApp.app,
    front: consoleFront({ settings: control.settings, app: roleApp.app, pages }),
    limits: {
      headerBytes: HEADER_BYTES,
      headersTimeoutMs: HEADERS_TIMEOUT_MS,
      requestTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      keepAliveTimeoutMs: settings.KEEP_ALIVE_TIMEOUT_MS,
    },
    jobs: [...controlJobs(control), ...(control.receipts === null ? [] : [control.receipts.job])],
    async prepare() {
      principals = await credentials.follow()
      await seedAdminTokens(control)
      await seedIam(control)
      await provisionStandingGroups(control.bus)
    },
    drain: roleApp.drain,
    async [Symbol.asyncDispose]() {
      await principals?.[Symbol.asyncDispose]()
      await audit[Symbol.asyncDispose]()
      await ownEgress?.[Symbol.asyncDispose]()
      await loopback?.[Symbol.asyncDispose]()
    },
  }
}
