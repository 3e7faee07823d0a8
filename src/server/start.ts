/**
 * Boot: configuration → store → schema → platform → roles → jobs → listeners
 * (storage-and-operations §11). What was opened is closed in reverse when any step fails.
 */
import type { Settings } from '../config/env.ts'
import { rolesOf } from '../config/load.ts'
import { buildVersion } from '../config/version.ts'
import type { EmbeddedConnection } from '../platform/embedded/port.ts'
import type { Job } from '../platform/jobs/job.ts'
import { createJobRunner, type JobRunner } from '../platform/jobs/runner.ts'
import { createLogger, type LoggerOptions, type ProcessLogger } from '../platform/observe/logger.ts'
import type { Role, RoleName } from '../platform/role.ts'
import { type ChainReport, verifyChain } from '../roles/audit/index.ts'
import { renewCertificate } from './certificate.ts'
import { assertPortFree, type Listener, type ListenerOptions, openListener } from './listener.ts'
import { mergeMetrics } from './merge-metrics.ts'
import { type ListenerName, type ListenerPlan, planListeners, shared } from './plan-listeners.ts'
import { openPlatform } from './platform.ts'
import { createRoles, type RunningRoles } from './roles.ts'
import { ensureSchema } from './schema.ts'
import { type ShutdownParts, shutDown } from './shutdown.ts'
import { gatewayPrefix, singlePort } from './single-port.ts'
import { openStore, storeOfPrimary, withStore } from './store.ts'
import { openRoleThread, rolesApart } from './thread/start-thread.ts'
import type { Address } from './workers/messages.ts'
import { type Seat, withEveryWorker } from './workers/seat.ts'

export interface Server extends AsyncDisposable {
  readonly roles: readonly RoleName[]
  /** Bound addresses by listener. */
  readonly listeners: Readonly<Partial<Record<ListenerName, Address>>>
  /** Settles when the server cannot go on by itself; whoever runs it then stops it. */
  readonly failed: Promise<Error>
  /** Recomputes a zone's whole audit chain from the store. */
  verifyAuditChain(zoneId: string): Promise<ChainReport>
  /** The metrics of a listener, for the other workers. */
  exposition(listener: string): Promise<string>
  /** Drains and closes everything within `budgetMs`, by default `SHUTDOWN_GRACE_MS`; answers what did not end well. */
  stop(budgetMs?: number): Promise<readonly string[]>
  /** For a process that must leave now: the embedded store is told to stop, nothing is waited for. */
  abandon(): void
}

export interface StartOptions {
  /** Default: JSON lines on stdout. */
  readonly logger?: ProcessLogger
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal
  /** Set in a worker: its place among the others. */
  readonly seat?: Seat
  /** Set where somebody else looked at the ports, opened the store and brought its schema up to date. */
  readonly host?: {
    readonly connection: EmbeddedConnection | null
    /** Settles when the listeners may open. */
    readonly turn?: Promise<void>
  }
}

/** Whose lines those of a process are: its only role's, else those of the whole. */
export function serviceOf([role, ...others]: readonly RoleName[]): string {
  return role === undefined || others.length > 0 ? 'caracal' : role
}

/** The process's logger as the settings want it. */
export function loggerOf(settings: Settings, destination?: LoggerOptions['destination']): ProcessLogger {
  return createLogger({
    level: settings.LOG_LEVEL,
    env: settings.CARACAL_ENV,
    version: settings.CARACAL_VERSION ?? buildVersion(),
    service: serviceOf(rolesOf(settings)),
    maxFieldBytes: settings.CARACAL_LOG_MAX_FIELD_BYTES,
    sampleDebug: settings.CARACAL_LOG_SAMPLE_DEBUG,
    ...(destination === undefined ? {} : { destination }),
  })
}

/** Starts the roles of `settings`. Rejects with one sentence when it cannot; then nothing is left running. */
export async function startServer(settings: Settings, options: StartOptions = {}): Promise<Server> {
  const began = performance.now()
  const roles = rolesOf(settings)
  const logger = options.logger ?? loggerOf(settings)
  const { log } = logger
  const signal = options.signal ?? new AbortController().signal
  const { seat, host } = options
  const inThread = host !== undefined && seat === undefined
  const plans = planListeners(settings, roles)
  if (host === undefined) for (const plan of plans) await assertPortFree(plan)
  const apart = host === undefined ? rolesApart(settings, roles) : []
  const here = roles.filter((role) => !apart.includes(role))

  const parts: ShutdownParts = {
    listeners: [],
    roles: null,
    runners: [],
    thread: apart.length === 0 ? null : openRoleThread(settings, apart, (line) => logger.writeLine(line)),
    platform: null,
    store: null,
  }
  let stopping: Promise<readonly string[]> | null = null
  const stop = (budgetMs = settings.SHUTDOWN_GRACE_MS): Promise<readonly string[]> => {
    stopping ??= shutDown(parts, budgetMs, log, inThread ? 'thread stopped' : 'stopped')
    return stopping
  }
  try {
    const store =
      host === undefined
        ? await openStore(settings, roles, log)
        : storeOfPrimary(settings, roles, host.connection)
    parts.store = store
    signal.throwIfAborted()
    const first = here[0] ?? 'control'
    if (host === undefined)
      await withStore(store.variable(first), settings.SHUTDOWN_GRACE_MS, log, () =>
        ensureSchema(settings, roles, store, log, signal),
      )
    signal.throwIfAborted()
    const platform = await openPlatform(settings, here, store, logger)
    parts.platform = platform
    // The drivers are agreed upon by now: the thread finds them as another process would.
    parts.thread?.start(store.connection)
    const ports = new Set<number>()
    const running = await createRoles({
      settings,
      roles: here,
      platform,
      logger,
      worker: seat?.number ?? 1,
      ownPorts: () => [...ports],
    })
    parts.roles = running
    for (const role of running.inOrder) await role.prepare(signal)
    signal.throwIfAborted()

    startJobs(parts, [...platform.jobs, ...renewals(settings, plans, parts.listeners)], running, log)
    await host?.turn
    signal.throwIfAborted()
    const listeners: Record<string, Address> = {}
    for (const plan of plans) {
      if (apart.includes(plan.role)) {
        Object.assign(listeners, await parts.thread?.listen())
        continue
      }
      const listener = await openListener(withApp(plan, running, seat))
      parts.listeners.push(listener)
      ports.add(listener.port)
      Object.assign(listeners, Object.fromEntries(addressesOf(listener, here)))
      if (seat === undefined)
        log
          .child({ service: plan.role })
          .info({ listener: listener.name, host: listener.host, port: listener.port }, 'listening')
    }
    for (const { port } of Object.values(listeners)) ports.add(port)
    log.info(
      {
        roles,
        mode: settings.CARACAL_MODE,
        store: store.embedded ? 'embedded' : 'postgres',
        bus: platform.driver,
        startup_ms: Math.round(performance.now() - began),
      },
      inThread ? 'thread ready' : seat === undefined ? 'ready' : 'worker ready',
    )
    const { db, keys } = platform.forRole(first)
    return {
      roles,
      listeners,
      failed: parts.thread === null ? store.failed : Promise.race([store.failed, parts.thread.failed]),
      verifyAuditChain: (zoneId) => verifyChain(db, keys.audit, zoneId),
      exposition: (listener) => expositionOf(listener, running),
      stop,
      abandon: () => store.abandon(),
      async [Symbol.asyncDispose]() {
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function withApp(plan: ListenerPlan, running: RunningRoles, seat: Seat | undefined): ListenerOptions {
  const options = withRoles(plan, running)
  return seat === undefined ? options : { ...options, app: withEveryWorker(options.app, plan.name, seat) }
}

function withRoles(plan: ListenerPlan, running: RunningRoles): ListenerOptions {
  if (plan.name === shared) {
    const appOf = (one: Role) => (one.name === 'control' ? (running.front ?? one.app) : one.app)
    return { ...plan, ...singlePort(running.inOrder, appOf) }
  }
  const role = running.byName.get(plan.role)
  if (role === undefined) throw new Error(`role ${plan.role} was not created`)
  const { limits, intercept } = role
  return {
    ...plan,
    app: plan.name === 'console' ? (running.front ?? role.app) : role.app,
    limits,
    forwards: plan.role === 'gateway',
    ...(intercept === undefined ? {} : { intercept }),
  }
}

/** Of the listeners that will be open when it runs. */
function renewals(settings: Settings, plans: readonly ListenerPlan[], open: readonly Listener[]): Job[] {
  return plans.flatMap(({ tls, name }) => {
    if (tls === undefined) return []
    return renewCertificate(settings, tls, (certificate) =>
      open.find((listener) => listener.name === name)?.useCertificate(certificate),
    )
  })
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

/** What `/metrics` of a listener says. */
async function expositionOf(listener: string, running: RunningRoles): Promise<string> {
  const textOf = (role: RoleName): Promise<string> => running.platformOf(role).metrics.metrics()
  if (listener !== shared) return textOf(listener === 'console' ? 'control' : (listener as RoleName))
  const texts = running.inOrder.map(async ({ name }) => ({ name, text: await textOf(name) }))
  return mergeMetrics(await Promise.all(texts), 'role')
}

/** Where each role is reached; below the prefix, the gateway of a shared listener. */
function addressesOf({ name, port, url }: Listener, roles: readonly RoleName[]): [string, Address][] {
  if (name !== shared) return [[name, { port, url }]]
  const names = roles.flatMap((role) => (role === 'control' ? [role, 'console'] : [role]))
  return names.map((one) => [one, { port, url: one === 'gateway' ? `${url}${gatewayPrefix}` : url }])
}
