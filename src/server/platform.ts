/**
 * What every role stands on, opened once for the process. One pool for each distinct
 * database URL: under one URL all roles share a pool.
 */
import type { Settings } from '../config/env.ts'
import { ConfigError } from '../config/load.ts'
import { missingBackend } from '../config/secret-backends.ts'
import { createCredentialHasher, loadCredentialKey } from '../platform/crypto/credentials.ts'
import { createEnvelopeCipher, EnvelopeError } from '../platform/crypto/envelope.ts'
import { keyRing } from '../platform/crypto/key-ring.ts'
import type { EnvelopeCipher } from '../platform/crypto/port.ts'
import { createSecretStore } from '../platform/crypto/secret-store.ts'
import { openDatabase } from '../platform/db/client.ts'
import type { ConnectionTarget } from '../platform/db/connection.ts'
import type { Database } from '../platform/db/port.ts'
import { APP_ROLE } from '../platform/db/session-role.ts'
import type { Job } from '../platform/jobs/job.ts'
import type { ProcessLogger } from '../platform/observe/logger.ts'
import { createRegistry } from '../platform/observe/metrics.ts'
import type { TraceStats } from '../platform/observe/otlp-exporter.ts'
import { createOutbox } from '../platform/outbox/outbox.ts'
import type { Platform } from '../platform/platform.ts'
import type { RoleName } from '../platform/role.ts'
import { agreeOnDrivers, assertDrivers, type Driver } from './deployment.ts'
import { driverOf, openDrivers } from './drivers.ts'
import { type Store, withStore } from './store.ts'
import { openTraces, serviceName } from './traces.ts'

type Plans = 'auto' | 'generic'

const plansOf = (role: RoleName): Plans => (role === 'control' ? 'auto' : 'generic')

export interface ProcessPlatform extends AsyncDisposable {
  readonly driver: Driver
  /** What became of finished spans; `null` while none are exported. */
  readonly traces: (() => TraceStats) | null
  /** Work of the process rather than of one role: the outbox publisher and the drivers' housekeeping. */
  readonly jobs: readonly Job[]
  forRole(role: RoleName): Platform
}

/** Opens pools, drivers, keys and ciphers. The schema is current when this is called. */
export async function openPlatform(
  settings: Settings,
  roles: readonly RoleName[],
  store: Store,
  logger: ProcessLogger,
): Promise<ProcessPlatform> {
  const { log } = logger
  const opened: AsyncDisposable[] = []
  const closeAll = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]()
  }
  try {
    // Two kinds of pools for each store: lists with optional filters want a plan for their values, the
    // statements of every other role are by key and must not be planned each time.
    const pools: Readonly<Record<Plans, Map<ConnectionTarget, Database>>> = {
      auto: new Map(),
      generic: new Map(),
    }
    for (const role of roles) {
      const target = store.target(role)
      const plans = plansOf(role)
      if (pools[plans].has(target)) continue
      const db = await withStore(store.variable(role), settings.SHUTDOWN_GRACE_MS, log, () =>
        openDatabase({
          connection: target,
          applicationName: `caracal-${roles.length === 1 ? role : 'server'}`,
          settings,
          log,
          plans,
          // The embedded store's login owns everything; the server works as an ordinary role.
          ...(store.embedded && typeof target !== 'string' ? { role: APP_ROLE } : {}),
        }),
      )
      pools[plans].set(target, db)
      opened.push(db)
    }
    const databaseOf = (role: RoleName): Database => {
      const db = pools[plansOf(role)].get(store.target(role))
      if (db === undefined) throw new Error(`no pool for role ${role}`)
      return db
    }
    const firstOf = (...wanted: RoleName[]): Database =>
      databaseOf(wanted.find((role) => roles.includes(role)) ?? roles[0] ?? 'control')
    // Logins differ in what they may: control keeps the deployment's own rows, the dispatcher needs the
    // whole outbox, markers and events are open to all.
    const owner = firstOf('control')
    const busy = firstOf('coordinator', 'sts', 'gateway', 'audit')

    // Asked before the bus is opened and recorded once it works: a start with a mistyped URL decides nothing.
    await assertDrivers(owner, driverOf(settings))
    const drivers = await openDrivers(settings, roles, busy, log)
    opened.push(drivers)
    await agreeOnDrivers(owner, driverOf(settings))
    const traces = openTraces(settings, log)
    if (traces !== null) opened.push(traces)
    const keys = keyRing(settings)
    const publisher = (['coordinator', 'control'] as const).find((role) => roles.includes(role))
    const outbox = createOutbox({
      db: firstOf('coordinator', 'control'),
      bus: drivers.bus,
      keys,
      settings,
      log: publisher === undefined ? log : log.child({ service: publisher }),
    })
    opened.push(outbox)
    const cipher = openCipher(settings)
    const credentialKey = cipher === null ? null : await openCredentialKey(owner, cipher)
    const hasher = createCredentialHasher({
      credentialKey,
      concurrency: settings.STS_SECRET_VERIFY_CONCURRENCY,
    })
    const secrets = createSecretStore({ cipher })

    return {
      driver: driverOf(settings),
      traces: traces === null ? null : () => traces.stats(),
      jobs: [...(publisher === undefined ? [] : [outbox.job]), ...drivers.jobs],
      forRole: (role) => ({
        settings,
        db: databaseOf(role),
        bus: drivers.bus,
        ephemera: drivers.ephemera,
        outbox,
        keys,
        cipher: role === 'sts' || role === 'control' ? cipher : null,
        secrets,
        hasher,
        log: log.child({ service: role }),
        metrics: createRegistry(),
        tracer: traces?.tracer(serviceName(settings, role)) ?? null,
      }),
      [Symbol.asyncDispose]: closeAll,
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function openCipher(settings: Settings): EnvelopeCipher | null {
  if (settings.SECRET_STORE_KEK === null) return null
  if (settings.CARACAL_SECRET_BACKEND !== 'builtin')
    throw new ConfigError([missingBackend(settings.CARACAL_SECRET_BACKEND)])
  const previous = settings.SECRET_STORE_KEK_PREVIOUS
  return createEnvelopeCipher({
    kek: Buffer.from(settings.SECRET_STORE_KEK, 'hex'),
    previous: previous === null ? null : Buffer.from(previous, 'hex'),
  })
}

async function openCredentialKey(db: Database, cipher: EnvelopeCipher): Promise<Buffer> {
  try {
    return await loadCredentialKey(db, cipher)
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error
    throw new ConfigError([
      `SECRET_STORE_KEK does not open what this database holds (${error.reason}): use the key it was made with, or name that one in SECRET_STORE_KEK_PREVIOUS`,
    ])
  }
}
