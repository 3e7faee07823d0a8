/**
 * The Security Token Service: mandates, policy decisions, approvals, signing keys
 * and upstream credentials. This file is the room's only door.
 */

import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { requireSetting } from '../../config/load.ts'
import type { Tail } from '../../platform/bus/port.ts'
import { createEgressGuard, type EgressGuard } from '../../platform/egress/guarded-fetch.ts'
import { CaracalError } from '../../platform/errors.ts'
import { oauthErrors } from '../../platform/http/error-style.ts'
import { createRoleApp } from '../../platform/http/role-app.ts'
import { uuidv7 } from '../../platform/ids.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Role } from '../../platform/role.ts'
import type { AuditSink } from '../audit/index.ts'
import { createApprovals } from './approvals/approvals.ts'
import { createDecideAsSubject } from './approvals/decide-as-subject.ts'
import { createDecisionWait } from './approvals/decision-wait.ts'
import { createAuthFailureLimit } from './checks/limit-auth-failures.ts'
import { createVersionedCache } from './definitions.ts'
import { followInvalidations } from './events.ts'
import { createEvidence } from './evidence.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { createIssuerKeys } from './federation/issuer-keys.ts'
import { gatewayExchangeRequest, granted, refused } from './gateway-call.ts'
import { stsJobs } from './jobs.ts'
import { createStsCounters, registerStsMetrics } from './metrics.ts'
import { createMintLimit } from './mint-limit.ts'
import { beginReading } from './open-exchange.ts'
import { pendingUse } from './pending-use.ts'
import { exchange, type Prepared } from './pipeline.ts'
import { createPolicyBundles } from './policy-bundles.ts'
import {
  type GatewayExchangeRequest,
  type GatewayExchangeResult,
  type Sts,
  StsUnreachable,
  UseNotClaimed,
} from './port.ts'
import { createCircuit } from './providers/circuit.ts'
import { createProviderCredentials } from './providers/credentials.ts'
import { createSecretDocuments } from './providers/secret-documents.ts'
import { createServiceTokens } from './providers/service-tokens.ts'
import { createUserConnections } from './providers/user-connections.ts'
import { readiness } from './readiness.ts'
import { createRecentExchanges } from './recent-exchanges.ts'
import { consumeRevocations } from './revocations.ts'
import { mountApprovalRoutes } from './routes/approvals.ts'
import { mountInternalRoutes } from './routes/internal.ts'
import { mountJwksRoute } from './routes/jwks.ts'
import { metricsRefusal, mountMetricsJson } from './routes/metrics-json.ts'
import { keptByNobody } from './routes/no-store.ts'
import { mountOAuthRoutes } from './routes/oauth.ts'
import { mountRunRoutes } from './routes/run.ts'
import { mountTokenRoute, tokenEndpoint } from './routes/token.ts'
import { createSigningKeys } from './signing-keys.ts'
import { simulate } from './simulate.ts'
import { createRecordIssuer } from './store/issue-records.ts'
import { createTogetherIssuer } from './store/issue-together.ts'
import { createSnapshotReader } from './store/snapshot.ts'
import { storeAway, storeFailure } from './store-failure.ts'

export * from './port.ts'

export interface StsDeps
  extends Pick<
      Platform,
      'db' | 'bus' | 'ephemera' | 'outbox' | 'keys' | 'hasher' | 'log' | 'metrics' | 'settings' | 'cipher'
    >,
    Partial<Pick<Platform, 'tracer'>> {
  /** The producer sink of this role; the STS ends it with itself. */
  readonly audit: AuditSink
  /** How this role dials out; made from the settings unless given. The STS ends it with itself. */
  readonly egress?: EgressGuard
}

export type StsRole = Sts & Role

const definitionTtlMs = 10 * 60_000

/** Needs `SECRET_STORE_KEK` (a cipher) and `ISSUER_URL`. Nothing runs before `prepare`. */
export function createSts(deps: StsDeps): StsRole {
  const { db, bus, ephemera, settings, log, audit, cipher } = deps
  if (cipher === null) throw new Error('the sts role needs SECRET_STORE_KEK')
  const counters = createStsCounters()
  const evidence = createEvidence(audit)
  const keys = createSigningKeys({
    db,
    cipher,
    outbox: deps.outbox,
    log,
    onInvalidKey: () => {
      counters.jwksInvalidKeys += 1
    },
  })
  const bundles = createPolicyBundles({
    db,
    log,
    onCompiled: (seconds, failed) => {
      counters.policyCompiles += 1
      counters.policyCompileSeconds += seconds
      if (failed) counters.policyCompileErrors += 1
    },
  })
  const approvals = createApprovals(db)
  const waits = createDecisionWait(db)
  const revocations = consumeRevocations({ db, bus, ephemera, streamsKey: deps.keys.streams, log })
  const issuer = requireSetting(settings, 'ISSUER_URL')
  const egress =
    deps.egress ??
    createEgressGuard({
      privateHosts: settings.CARACAL_PRIVATE_EGRESS_HOSTS,
      extraCaFile: settings.CARACAL_TLS_EXTRA_CA_FILE,
    })
  const circuit = createCircuit(ephemera)
  const maxLifetimeSeconds = settings.MAX_GRANT_TTL_SECONDS
  const credentials = createProviderCredentials({
    documents: createSecretDocuments(cipher, counters),
    serviceTokens: createServiceTokens({ egress, circuit, counters, maxLifetimeSeconds }),
    connections: createUserConnections({
      db,
      cipher,
      ephemera,
      egress,
      circuit,
      counters,
      log,
      maxLifetimeSeconds,
    }),
  })
  /** SHA-256 of gateway mandates signed a moment ago: the gateway of this process need not verify them again. */
  const signed = new LRUCache<string, true>({ max: 20_000, ttl: 60_000 })
  const mintLimit = createMintLimit(ephemera, settings.STS_MINT_RATE_LIMIT_PER_MIN)
  const issueTogether =
    bus.store?.database === db && ephemera.database === db ? createTogetherIssuer(db, bus.store) : null
  const exchangeDeps: ExchangeDeps = {
    issuer,
    controlAudience: settings.CONTROL_AUDIENCE,
    db,
    ephemera,
    hasher: deps.hasher,
    readSnapshot: createSnapshotReader(db),
    issueRecord: createRecordIssuer(db),
    issueTogether,
    recent: issueTogether === null ? null : createRecentExchanges(),
    applications: createVersionedCache({ max: 10_000, ttlMs: definitionTtlMs }),
    resources: createVersionedCache({ max: 10_000, ttlMs: definitionTtlMs }),
    keys,
    bundles,
    mintLimit,
    authFailures: createAuthFailureLimit(ephemera),
    credentials,
    approvals,
    issuerKeys: createIssuerKeys(egress),
    evidence,
    tracer: deps.tracer ?? null,
    onGatewayMandate: (token) => {
      signed.set(hash('sha256', token, 'hex'), true)
    },
    onLineageRead: (broken) => {
      counters.graphTraversals += 1
      if (broken) counters.graphTraversalErrors += 1
    },
    onRemembered: (proved) => {
      if (proved) counters.rememberedExchanges += 1
      else counters.rememberedOutdated += 1
    },
    onPolicyEvaluated: (seconds, failed) => {
      counters.policyEvaluations += 1
      counters.policyEvaluationSeconds += seconds
      if (failed) counters.policyEvaluationErrors += 1
    },
  }

  async function exchangeFor(
    call: GatewayExchangeRequest,
    signal: AbortSignal,
    prepared?: Prepared,
  ): Promise<GatewayExchangeResult> {
    if (signal.aborted) throw new StsUnreachable('cancelled', 'caller left')
    try {
      const request = gatewayExchangeRequest(call, exchangeDeps.tracer)
      return granted(await exchange(request, exchangeDeps, { signal }, prepared))
    } catch (error) {
      if (error instanceof UseNotClaimed) throw error
      const known = error instanceof CaracalError ? error : storeFailure(error, 'exchange failed')
      if (known.status >= 500) log.error({ err: known, request_id: call.requestId }, 'exchange_failed')
      return refused(known)
    }
  }

  let invalidations: Tail | null = null
  const { app, drain, direct } = createRoleApp({
    log,
    metrics: deps.metrics,
    tracer: deps.tracer,
    errorStyle: oauthErrors,
    mapError: (error) => (error instanceof CaracalError ? null : storeAway(error)),
    requestIdRule: 'visible',
    headersFor: keptByNobody,
    newRequestId: () => uuidv7(),
    trustProxy: settings.TRUST_PROXY,
    bodyLimitBytes: 65_536,
    // The form endpoints count for themselves: the media type is judged before the size.
    bodyLimitFor: () => null,
    methodNotAllowed: true,
    operations: {
      mode: settings.CARACAL_MODE,
      metricsBearer: settings.METRICS_BEARER,
      metricsRefusal,
      health: () => ({ status: 200, body: null }),
      ready: () =>
        readiness({
          pingStore: () => db.ping(),
          pingRedis: bus.driver === 'redis' || ephemera.driver === 'redis' ? () => pingRedis(deps) : null,
          evidence: () => audit.readiness(),
          consumersReady: () => invalidations !== null && revocations.healthy,
        }),
    },
  })
  const tokens = { exchange: exchangeDeps, gatewayKey: deps.keys.gatewaySts }
  mountTokenRoute(app, tokens)
  mountJwksRoute(app, { keys, requireZone: settings.STS_JWKS_REQUIRE_ZONE })
  mountRunRoutes(app, exchangeDeps)
  mountOAuthRoutes(app, { ...exchangeDeps, outbox: deps.outbox })
  mountApprovalRoutes(app, {
    approvals,
    waits,
    decide: createDecideAsSubject({
      db,
      approvals,
      keys,
      outbox: deps.outbox,
      auditKey: deps.keys.audit,
      issuer,
    }),
  })
  mountInternalRoutes(app, {
    ephemera,
    gatewayKey: deps.keys.gatewaySts,
    bundles,
    keys,
    adminToken: settings.STS_ADMIN_TOKEN,
    publishAheadMs: settings.SIGNING_KEY_PUBLISH_AHEAD_SECONDS * 1000,
  })
  mountMetricsJson(app, {
    counters,
    audit,
    maxPolicyAgeSeconds: () => bundles.maxAgeSeconds(),
    pollIntervalSeconds: settings.OPA_POLL_SECONDS,
    access: { mode: settings.CARACAL_MODE, metricsBearer: settings.METRICS_BEARER },
  })
  registerStsMetrics(deps.metrics, counters, {
    maxPolicyAgeSeconds: () => bundles.maxAgeSeconds(),
    pollIntervalSeconds: settings.OPA_POLL_SECONDS,
  })

  return {
    name: 'sts',
    app,
    intercept: direct(tokenEndpoint(tokens)),
    limits: {
      headerBytes: 16_384,
      headersTimeoutMs: 5_000,
      // From the first byte of the head to the last of the body: five seconds for each.
      requestTimeoutMs: 10_000,
      keepAliveTimeoutMs: 60_000,
    },
    jobs: stsJobs({ db, audit, bundles, mintLimit, policyPollMs: settings.OPA_POLL_SECONDS * 1000 }),

    async prepare(signal) {
      await ephemera.replay.establish(signal)
      invalidations = await followInvalidations({
        bus,
        streamsKey: deps.keys.streams,
        bundles,
        keys,
        log,
      })
      await invalidations.positioned
      await revocations.start()
      await waits.start()
      await audit.drainJournal().catch((error: unknown) => log.warn({ err: error }, 'audit_replay_failed'))
      // Not the end of the start: while the bus takes evidence the directory may still come.
      if ((await audit.readiness()) === 'audit_replay_unavailable')
        log.error('AUDIT_REPLAY_DIR cannot be written: this role is not ready before it can be')
      await bundles.preload()
    },

    drain() {
      drain()
      // Who waits for a human would keep the listener waiting to the end of its patience.
      waits.end()
    },

    exchangeForGateway: (call, signal) => exchangeFor(call, signal),
    readAhead(call) {
      const request = gatewayExchangeRequest(call, exchangeDeps.tracer)
      const recalled = exchangeDeps.recent?.recall(request)
      if (recalled) return (same, signal) => exchangeFor(same, signal, { recalled })
      const begun = beginReading(request, exchangeDeps)
      return (same, signal) => exchangeFor(same, signal, { begun })
    },
    exchangeOnce(call, use) {
      // What waits for claims goes on beside the writes of others, and shares the next one with them.
      if (issueTogether?.idle !== true) return null
      const recalled = exchangeDeps.recent?.recall(gatewayExchangeRequest(call, exchangeDeps.tracer))
      const pending = recalled ? pendingUse(ephemera.replay, use) : null
      if (!recalled || pending === null) return null
      return (same, signal) => exchangeFor(same, signal, { recalled, pendingUse: pending })
    },
    signedHere: (digest) => signed.has(digest),

    zoneKeys: (zoneId) => keys.published(zoneId),
    // As `/health` over HTTP: the process answers, whatever its dependencies do.
    ping: async () => undefined,
    policyStatus: (zoneId) => bundles.status(zoneId),
    simulatePolicy: async (simulation) => simulate(simulation),

    async [Symbol.asyncDispose]() {
      await revocations[Symbol.asyncDispose]()
      await invalidations?.[Symbol.asyncDispose]()
      await waits[Symbol.asyncDispose]()
      await egress[Symbol.asyncDispose]()
      await audit[Symbol.asyncDispose]()
    },
  }
}

async function pingRedis(deps: Pick<StsDeps, 'bus' | 'ephemera'>): Promise<void> {
  await Promise.all([deps.bus.ping(), deps.ephemera.ping()])
}
