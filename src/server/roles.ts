/**
 * Creates the roles of this process and ties them together: directly where both ends run
 * here, over HTTP where one does not. Nobody else knows which (design §2).
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Hono } from 'hono'
import type { Settings } from '../config/env.ts'
import { requireSetting, rolesOf } from '../config/load.ts'
import type { ProcessLogger } from '../platform/observe/logger.ts'
import { registerLogMetrics, registerPoolMetrics, registerTraceMetrics } from '../platform/observe/metrics.ts'
import type { Platform } from '../platform/platform.ts'
import type { Role, RoleName } from '../platform/role.ts'
import type { AuditSink } from '../roles/audit/index.ts'
import type { ControlRole } from '../roles/control/index.ts'
import type { StsOverHttpOptions, stsOverHttp } from '../roles/gateway/index.ts'
import type { StsRole } from '../roles/sts/index.ts'
import type { ProcessPlatform } from './platform.ts'

export interface RunningRoles extends AsyncDisposable {
  /** In starting order: sts, control, coordinator, audit, gateway. */
  readonly inOrder: readonly Role[]
  readonly byName: ReadonlyMap<RoleName, Role>
  platformOf(role: RoleName): Platform
  /** What the console listener serves; `null` where role control does not run. */
  readonly front: Hono | null
}

export interface CreateRolesOptions {
  readonly settings: Settings
  readonly roles: readonly RoleName[]
  readonly platform: ProcessPlatform
  readonly logger: ProcessLogger
  /** 1-based place among the workers that share the listeners. */
  readonly worker: number
  /** Ports this process listens on, once it does. */
  readonly ownPorts: () => readonly number[]
}

type RemoteSts = ReturnType<typeof stsOverHttp>

/** Creates what `roles` names, loading only their code; nothing runs before each role's `prepare`. */
export async function createRoles(options: CreateRolesOptions): Promise<RunningRoles> {
  const { settings, roles, platform, logger } = options
  const platforms = new Map(roles.map((role) => [role, platform.forRole(role)]))
  const platformOf = (role: RoleName): Platform => {
    const found = platforms.get(role)
    if (found === undefined) throw new Error(`role ${role} does not run here`)
    return found
  }
  const owned: AsyncDisposable[] = []
  const inOrder: Role[] = []
  const appOf = (name: RoleName): Hono => {
    const role = inOrder.find((one) => one.name === name)
    if (role === undefined) throw new Error(`role ${name} is not created yet`)
    return role.app
  }
  let sts: StsRole | null = null
  let control: ControlRole | null = null
  let remote: RemoteSts | null = null
  const remoteSts = async (role: RoleName): Promise<RemoteSts> => {
    if (remote !== null) return remote
    const how: StsOverHttpOptions = {
      url: requireSetting(settings, 'STS_URL'),
      key: platformOf(role).keys.gatewaySts,
      timeoutMs: settings.STS_TIMEOUT,
    }
    const gateway = await import('../roles/gateway/index.ts')
    remote = gateway.stsOverHttp(how)
    owned.push(remote)
    return remote
  }

  const operatorToken = settings.CARACAL_COORDINATOR_TOKEN ?? randomBytes(32).toString('hex')
  /** Where both run here nobody needs to configure how control proves itself to the coordinator. */
  const withOperatorToken = (platform: Platform): Platform =>
    roles.includes('control') && roles.includes('coordinator')
      ? { ...platform, settings: { ...platform.settings, CARACAL_COORDINATOR_TOKEN: operatorToken } }
      : platform

  const create: Readonly<Record<RoleName, () => Promise<Role>>> = {
    async sts() {
      const { createSts } = await import('../roles/sts/index.ts')
      const audit = await openSink('sts', settings, platformOf('sts'))
      sts = createSts({ ...platformOf('sts'), audit })
      return sts
    },
    async control() {
      const { createControl } = await import('../roles/control/index.ts')
      control = createControl({
        ...withOperatorToken(platformOf('control')),
        sts: sts ?? (await remoteSts('control')),
        ...(roles.includes('sts') ? { stsDoor: (request) => appOf('sts').fetch(request) } : {}),
        // Looked up when it is asked: control is created first.
        ...(roles.includes('coordinator')
          ? { coordinator: (request) => appOf('coordinator').fetch(request) }
          : {}),
      })
      return control
    },
    async coordinator() {
      const { createCoordinator } = await import('../roles/coordinator/index.ts')
      return createCoordinator({
        ...withOperatorToken(platformOf('coordinator')),
        sts: sts ?? (await remoteSts('coordinator')),
      })
    },
    async audit() {
      const { createAudit } = await import('../roles/audit/index.ts')
      return createAudit(platformOf('audit'))
    },
    async gateway() {
      const { createGateway } = await import('../roles/gateway/index.ts')
      const audit = await openSink('gateway', settings, platformOf('gateway'))
      owned.push(audit)
      const inProcess = settings.GATEWAY_STS_TRANSPORT === 'http' ? null : sts
      return createGateway({
        ...platformOf('gateway'),
        audit,
        sts: inProcess ?? (await remoteSts('gateway')),
        worker: options.worker,
        ownPorts: options.ownPorts,
      })
    },
  }

  // One after the other: `roles` comes in starting order, so the STS exists before those that ask it.
  for (const role of roles) inOrder.push(await create[role]())
  for (const role of inOrder)
    registerProcessMetrics(role.name, platformOf(role.name), logger, platform.traces)

  return {
    inOrder,
    byName: new Map(inOrder.map((role) => [role.name, role])),
    platformOf,
    front: (control as ControlRole | null)?.front ?? null,
    async [Symbol.asyncDispose]() {
      for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]()
    },
  }
}

async function openSink(
  role: 'sts' | 'gateway',
  settings: Settings,
  { bus, keys, log, metrics }: Platform,
): Promise<AuditSink> {
  const { createAuditSink } = await import('../roles/audit/index.ts')
  const journal = requireSetting(settings, 'AUDIT_REPLAY_DIR')
  return createAuditSink({
    bus,
    keys,
    log,
    metrics,
    directory: rolesOf(settings).length > 1 ? join(journal, role) : journal,
    metricPrefix: `caracal_${role}`,
  })
}

/** Pool metrics everywhere, log counters where v1 shows them; a role that registered its own keeps them. */
function registerProcessMetrics(
  role: RoleName,
  { metrics, db }: Platform,
  logger: ProcessLogger,
  traces: ProcessPlatform['traces'],
): void {
  if (traces !== null) registerTraceMetrics(metrics, traces)
  if (metrics.getSingleMetric('caracal_db_pool_max_conns') === undefined)
    registerPoolMetrics(metrics, role, db)
  if (role !== 'control' && role !== 'coordinator') return
  if (metrics.getSingleMetric('caracal_log_emitted_total') === undefined)
    registerLogMetrics(metrics, logger.counters)
}
