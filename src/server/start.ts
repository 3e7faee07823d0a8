/**
 * Boot: configuration → store → schema → platform → roles → jobs → listeners
 * (storage-and-operations §11). What was opened is closed in reverse when any step fails.
 */
import { readFileSync } from 'node:fs'
import type { Settings } from '../config/env.ts'
import { ConfigError, rolesOf } from '../config/load.ts'
import { buildVersion } from '../config/version.ts'
import { createJobRunner, type JobRunner } from '../platform/jobs/runner.ts'
import { createLogger, type ProcessLogger } from '../platform/observe/logger.ts'
import type { Platform } from '../platform/platform.ts'
import type { RoleName } from '../platform/role.ts'
import { type ChainReport, verifyChain } from '../roles/audit/index.ts'
import { assertPortFree, type Listener, type ListenerOptions, openListener } from './listener.ts'
import { openPlatform } from './platform.ts'
import { createRoles, type RunningRoles } from './roles.ts'
import { ensureSchema } from './schema.ts'
import { type ShutdownParts, shutDown } from './shutdown.ts'
import { gatewayPrefix, singlePort } from './single-port.ts'
import { openStore, type Store, withStore } from './store.ts'

type ListenerName = RoleName | 'console'

export interface Server extends AsyncDisposable {
  readonly roles: readonly RoleName[]
  /** Bound addresses by listener. */
  readonly listeners: Readonly<Partial<Record<ListenerName, { readonly port: number; readonly url: string }>>>
  /** Settles when the server cannot go on by itself; whoever runs it then stops it. */
  readonly failed: Promise<Error>
  /** Recomputes a zone's whole audit chain from the store. */
  verifyAuditChain(zoneId: string): Promise<ChainReport>
  /** Drains and closes everything within `SHUTDOWN_GRACE_MS`; answers what did not end well. */
  stop(): Promise<readonly string[]>
  /** For a process that must leave now: the embedded store is told to stop, nothing is waited for. */
  abandon(): void
}

export interface StartOptions {
  /** Default: JSON lines on stdout. */
  readonly logger?: ProcessLogger
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal
}

/** The process's logger as the settings want it. */
export function loggerOf(settings: Settings): ProcessLogger {
  return createLogger({
    level: settings.LOG_LEVEL,
    env: settings.CARACAL_ENV,
    version: settings.CARACAL_VERSION ?? buildVersion(),
    maxFieldBytes: settings.CARACAL_LOG_MAX_FIELD_BYTES,
    sampleDebug: settings.CARACAL_LOG_SAMPLE_DEBUG,
  })
}

/** Starts the roles of `settings`. Rejects with one sentence when it cannot; then nothing is left running. */
export async function startServer(settings: Settings, options: StartOptions = {}): Promise<Server> {
  const began = performance.now()
  const roles = rolesOf(settings)
  const logger = options.logger ?? loggerOf(settings)
  const { log } = logger
  const signal = options.signal ?? new AbortController().signal
  const plans = planListeners(settings, roles)
  for (const plan of plans) await assertPortFree(plan)

  const parts: ShutdownParts = { listeners: [], roles: null, runners: [], platform: null, store: null }
  const stop = once(() => shutDown(parts, settings.SHUTDOWN_GRACE_MS, log))
  try {
    const store = await openStore(settings, roles, log)
    parts.store = store
    signal.throwIfAborted()
    const first = roles[0] ?? 'control'
    await withStore(store.variable(first), settings.SHUTDOWN_GRACE_MS, log, () =>
      ensureSchema(settings, roles, store, log, signal),
    )
    signal.throwIfAborted()
    const platform = await openPlatform(settings, roles, store, logger)
    parts.platform = platform
    const ports = new Set<number>()
    const running = await createRoles({ settings, roles, platform, logger, ownPorts: () => [...ports] })
    parts.roles = running
    for (const role of running.inOrder) await role.prepare(signal)
    signal.throwIfAborted()

    startJobs(parts, platform.jobs, running, log)
    for (const plan of plans) {
      const listener = await openListener(withApp(plan, running))
      parts.listeners.push(listener)
      ports.add(listener.port)
      log
        .child({ service: plan.role })
        .info({ listener: listener.name, host: listener.host, port: listener.port }, 'listening')
    }
    log.info(
      {
        roles,
        mode: settings.CARACAL_MODE,
        store: store.embedded ? 'embedded' : 'postgres',
        bus: platform.driver,
        startup_ms: Math.round(performance.now() - began),
      },
      'ready',
    )
    return describe(roles, parts.listeners, platform.forRole(first), store, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

interface ListenerPlan extends Pick<ListenerOptions, 'host' | 'port' | 'portVariable' | 'tls'> {
  readonly name: ListenerName | typeof shared
  readonly role: RoleName
}

/** The listener of all roles of the process. */
const shared = 'single-port'

/** Listeners in the order in which they open: sts, control, coordinator, audit, gateway. */
function planListeners(settings: Settings, roles: readonly RoleName[]): ListenerPlan[] {
  const { HOST: host, CARACAL_SINGLE_PORT: port } = settings
  const [first] = roles
  if (port !== null && first !== undefined) {
    const plan = { name: shared, role: first, host, port, portVariable: 'CARACAL_SINGLE_PORT' } as const
    return [roles.includes('gateway') ? { ...plan, ...gatewayTls(settings) } : plan]
  }
  return roles.flatMap((role): ListenerPlan[] => {
    const portVariable = `${role.toUpperCase() as Uppercase<RoleName>}_PORT` as const
    const own: ListenerPlan = { name: role, role, host, port: settings[portVariable], portVariable }
    if (role === 'gateway') return [{ ...own, ...gatewayTls(settings) }]
    if (role !== 'control') return [own]
    return [own, { name: 'console', role, host, port: settings.CONSOLE_PORT, portVariable: 'CONSOLE_PORT' }]
  })
}

function gatewayTls(settings: Settings): Pick<ListenerOptions, 'tls'> {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = settings
  if (cert === null || key === null) return {}
  const read = (name: string, path: string): Buffer => {
    try {
      return readFileSync(path)
    } catch (error) {
      throw new ConfigError([`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`])
    }
  }
  return { tls: { cert: read('TLS_CERT_FILE', cert), key: read('TLS_KEY_FILE', key) } }
}

function withApp(plan: ListenerPlan, running: RunningRoles): ListenerOptions {
  if (plan.name === shared) {
    const apps = new Map(
      running.inOrder.map((one) => [one, one.name === 'control' ? running.consoleApp(one.app) : one.app]),
    )
    return { ...plan, ...singlePort(running.inOrder, (one) => apps.get(one) ?? one.app) }
  }
  const role = running.byName.get(plan.role)
  if (role === undefined) throw new Error(`role ${plan.role} was not created`)
  const { limits, intercept } = role
  return {
    ...plan,
    app: plan.name === 'console' ? running.consoleApp(role.app) : role.app,
    limits,
    ...(intercept === undefined ? {} : { intercept }),
  }
}

/** Work of the process first, so that it is stopped last; then each role's own, counted in its registry. */
function startJobs(
  parts: ShutdownParts,
  shared: Parameters<JobRunner['start']>[0],
  running: RunningRoles,
  log: ProcessLogger['log'],
): void {
  const own = createJobRunner({ log })
  parts.runners.push(own)
  own.start(shared)
  for (const role of running.inOrder) {
    const { log: roleLog, metrics } = running.platformOf(role.name)
    const runner = createJobRunner({ log: roleLog, metrics })
    parts.runners.push(runner)
    runner.start(role.jobs)
  }
}

function describe(
  roles: readonly RoleName[],
  listeners: readonly Listener[],
  { db, keys }: Pick<Platform, 'db' | 'keys'>,
  store: Store,
  stop: () => Promise<readonly string[]>,
): Server {
  return {
    roles,
    listeners: Object.fromEntries(listeners.flatMap((one) => addressesOf(one, roles))),
    failed: store.failed,
    verifyAuditChain: (zoneId) => verifyChain(db, keys.audit, zoneId),
    stop,
    abandon: () => store.abandon(),
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** Where each role is reached; below the prefix, the gateway of a shared listener. */
function addressesOf(
  { name, port, url }: Listener,
  roles: readonly RoleName[],
): [string, { readonly port: number; readonly url: string }][] {
  if (name !== shared) return [[name, { port, url }]]
  const names = roles.flatMap((role) => (role === 'control' ? [role, 'console'] : [role]))
  return names.map((one) => [one, { port, url: one === 'gateway' ? `${url}${gatewayPrefix}` : url }])
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () => {
    running ??= work()
    return running
  }
}
