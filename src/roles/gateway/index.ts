/**
 * Role gateway: every protected call passes here on its way to the upstream
 * (gateway §1). It denies before it dials, never lets the caller choose the
 * upstream, and keeps both sides' credentials apart.
 */
import { hostname } from 'node:os'
import { ConfigError } from '../../config/load.ts'
import type { Tail } from '../../platform/bus/port.ts'
import { type EgressTrust, loadEgressTrust } from '../../platform/egress/trust.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Role } from '../../platform/role.ts'
import type { AuditSink } from '../audit/index.ts'
import type { Ground } from './checks/check.ts'
import { createCircuitBreaker } from './circuit-breaker.ts'
import { createCounters } from './counters.ts'
import type { GatewaySts } from './gateway-sts.ts'
import { createJobs } from './jobs.ts'
import { createDurations, registerMetrics } from './metrics.ts'
import { createPipeline } from './pipeline.ts'
import { createPools } from './proxy/pools.ts'
import { createAddressGuard, type Resolve } from './proxy/resolve.ts'
import { createRateLimits } from './rate-limits.ts'
import { createRevocationConsumer } from './revocations/consumer.ts'
import { revocationGroup } from './revocations/entries.ts'
import { followInvalidations } from './revocations/follow.ts'
import { groupJanitor } from './revocations/group-janitor.ts'
import { createRevocationSet, type Revocations } from './revocations/set.ts'
import { createSharedStoreWriter } from './revocations/shared-store.ts'
import { createSnapshot } from './revocations/snapshot.ts'
import { createRoutes, isOperatorPath } from './routes.ts'
import type { GatewaySettings } from './settings.ts'
import { createVerifiedMandates } from './verified-mandates.ts'
import { createZoneKeys } from './zone-keys.ts'

const usualPort = 8081

export { type StsOverHttpOptions, stsOverHttp } from './sts-over-http.ts'

export interface GatewayDeps
  extends Pick<Platform, 'db' | 'bus' | 'ephemera' | 'keys' | 'log' | 'metrics'>,
    Partial<Pick<Platform, 'tracer'>> {
  readonly settings: GatewaySettings
  readonly sts: GatewaySts
  /** The sink of this role (`AUDIT_REPLAY_DIR/gateway` when roles share the process); disposed by its owner. */
  readonly audit: AuditSink
  /** Ports of this process's own listeners, once they are known: refused as upstreams on loopback. */
  readonly ownPorts?: () => readonly number[]
  /** 1-based number of this worker; workers of one host need a group of their own. */
  readonly worker?: number
  /** Name of this gateway in group and consumer names: no other one may have it at the same time. */
  readonly host?: string
  /** Resolver of upstream names; the system's by default. */
  readonly resolve?: Resolve
  /** Monotonic milliseconds by which snapshot, circuit and key cooldown age; the process's by default. */
  readonly clock?: () => number
}

/**
 * Two gateways of one host that shared a group would each hear half of the revocations (gateway §8.3).
 * They cannot listen on one port, and a gateway that starts again takes up its own group: so the port
 * tells them apart, unsaid where it is the usual one.
 */
export function ownName(settings: Pick<GatewaySettings, 'GATEWAY_PORT' | 'CARACAL_SINGLE_PORT'>): string {
  const port = settings.CARACAL_SINGLE_PORT ?? settings.GATEWAY_PORT
  return port === usualPort ? hostname() : `${hostname()}-${port}`
}

export interface Gateway extends Role {
  readonly intercept: NonNullable<Role['intercept']>
  /** Where a revocation committed in this process is applied at once, ahead of its event. */
  readonly revocations: Revocations
}

export function createGateway(deps: GatewayDeps): Gateway {
  const { settings, db, bus, ephemera, keys, log, sts, audit, metrics } = deps
  const clock = deps.clock ?? (() => performance.now())
  const host = deps.host ?? ownName(settings)
  const worker = deps.worker ?? 1
  const counters = createCounters()
  const revocations = createRevocationSet()
  const snapshot = createSnapshot({ db, set: revocations, counters, now: clock })
  const breaker = createCircuitBreaker(clock)
  const zoneKeys = createZoneKeys(sts, clock)
  const verified = createVerifiedMandates()
  const guard = createAddressGuard({
    allowlist: settings.UPSTREAM_HOST_ALLOWLIST,
    blockPrivate: settings.UPSTREAM_BLOCK_PRIVATE,
    ownPorts: deps.ownPorts ?? (() => []),
    ...(deps.resolve === undefined ? {} : { resolve: deps.resolve }),
  })
  const pools = createPools(guard, {
    connectionsPerHost: settings.UPSTREAM_MAX_CONNECTIONS,
    headersTimeoutMs: settings.UPSTREAM_TIMEOUT,
    bodyTimeoutMs: settings.STREAM_IDLE_TIMEOUT,
    trust: egressTrust(settings.CARACAL_TLS_EXTRA_CA_FILE, log),
  })
  const consumer = createRevocationConsumer({
    bus,
    ephemera,
    key: keys.streams,
    log,
    counters,
    set: revocations,
    snapshot,
    host,
    worker,
  })
  const sharedStore = settings.REVOCATION_STORE_WRITER
    ? createSharedStoreWriter({ bus, ephemera, key: keys.streams, log, host })
    : null
  registerMetrics(metrics, { counters, revocations, snapshot, circuitOpen: () => breaker.open, consumer, db })
  const ground: Ground = {
    settings,
    counters,
    revocations,
    snapshot,
    zoneKeys,
    verified,
    ephemera,
    limits: createRateLimits({
      perIpPerMinute: settings.GATEWAY_RATE_LIMIT_PER_IP_PER_MIN,
      perApplicationPerMinute: settings.GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN,
      now: clock,
    }),
    sts,
    breaker,
    guard,
    audit,
    durations: createDurations(metrics),
    tracer: deps.tracer ?? null,
    log,
  }
  const pipeline = createPipeline(ground, pools)
  let draining = false
  let tail: Tail | null = null

  return {
    name: 'gateway',
    app: createRoutes({
      settings,
      registry: metrics,
      revocations,
      snapshot,
      log,
      bus,
      ephemera,
      audit,
      sts,
      draining: () => draining,
    }),
    intercept(request, response) {
      if (isOperatorPath(request.method, request.url)) return false
      pipeline.handle(request, response)
      return true
    },
    limits: {
      headerBytes: 16 * 1024,
      headersTimeoutMs: settings.READ_HEADER_TIMEOUT,
      requestTimeoutMs: settings.READ_TIMEOUT,
      keepAliveTimeoutMs: settings.IDLE_TIMEOUT,
      maxConnections: settings.GATEWAY_MAX_CONNECTIONS,
    },
    jobs: [
      ...createJobs({ snapshot, revocations, audit, pools }),
      groupJanitor({ bus, ephemera, group: revocationGroup(host, worker) }),
    ],
    revocations,
    async prepare(signal) {
      await ephemera.replay.establish(signal)
      // The group exists before the snapshot is read: nothing falls between the two (gateway §8.4).
      await consumer.start()
      await sharedStore?.start()
      tail = await followInvalidations({
        bus,
        key: keys.streams,
        log,
        revocations,
        onKeysChanged: (zoneId) => {
          zoneKeys.flush(zoneId)
          verified.clear()
        },
      })
      await snapshot.load()
      // What waits on disk may wait longer, the job tries again; a journal that cannot be written may not.
      await audit.drainJournal().catch((error: unknown) => log.warn({ err: error }, 'audit_drain_failed'))
      if ((await audit.readiness()) === 'audit_replay_unavailable') {
        throw new ConfigError(['AUDIT_REPLAY_DIR cannot be written'])
      }
    },
    drain() {
      draining = true
    },
    async [Symbol.asyncDispose]() {
      await consumer[Symbol.asyncDispose]()
      await sharedStore?.[Symbol.asyncDispose]()
      await tail?.[Symbol.asyncDispose]()
      await pools[Symbol.asyncDispose]()
    },
  }
}

function egressTrust(extraCaFile: string | null, log: Platform['log']): EgressTrust {
  const trust = loadEgressTrust(extraCaFile)
  if (!trust.ok) log.error({ problem: trust.problem }, 'upstream_tls_closed')
  return trust
}
