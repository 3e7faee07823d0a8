/**
 * Opens an exchange: reads the one snapshot, resolves definitions against the
 * versions it saw, authenticates the caller (sts §5.2 A and D). The ids the snapshot
 * is asked for come from a token nobody has verified yet; they only choose rows to
 * read, every rule about them is applied afterwards, in order.
 */
import type { Caller } from '../../platform/crypto/port.ts'
import { parseCompact } from '../../platform/jose/compact.ts'
import { authenticateClient, locateControlZone } from './checks/authenticate-client.ts'
import { type DeclaredOperation, declareOperation } from './declared-operations.ts'
import type { ApplicationDefinition, ResourceDefinition, Versioned, VersionedCache } from './definitions.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { accessTokenType, type Exchange, type ExchangeRequest } from './exchange-state.ts'
import type { PendingUse } from './pending-use.ts'
import type { ActiveVersion } from './policy-bundles.ts'
import type { Recalled } from './recent-exchanges.ts'
import { internalError, invalidClient } from './refusal.ts'
import type { ApplicationRow, ResourceRow, Snapshot, SnapshotQuery } from './store/snapshot.ts'
import { storeFailure } from './store-failure.ts'

/** Begins the one read of an exchange; `openExchange` waits for it. */
export function beginReading(request: ExchangeRequest, deps: ExchangeDeps): Promise<State> {
  const reading = readState(request, deps)
  // Whoever read ahead may never ask for it.
  reading.catch(() => undefined)
  return reading
}

export async function openExchange(
  request: ExchangeRequest,
  deps: ExchangeDeps,
  caller?: Caller,
  begun?: Promise<State>,
  counted: Exchange['counted'] = new Map(),
): Promise<Exchange> {
  if (request.applicationId === '') throw invalidClient('application_id is empty')
  const notBlocked = request.gateway === null ? deps.authFailures.refuseBlocked(request.applicationId) : null
  const reading = begun ?? readUnlessBlocked(request, notBlocked, deps)
  // Both are on their way; the block is judged first, and neither may end up unhandled.
  const [blocked, read] = await Promise.allSettled([notBlocked, reading])
  if (blocked.status === 'rejected') throw blocked.reason
  if (read.status === 'rejected') throw read.reason
  const { zoneId, snapshot, held } = read.value

  const found = resolveApplication(request, zoneId, snapshot, held, deps.applications)
  const application = await authenticateClient(request, zoneId, found, deps, caller)
  const resources = resolveResources(zoneId, snapshot, held, deps.resources)
  return newExchange(request, { zoneId, snapshot, application, resources, premise: null }, counted)
}

/** Without a zone the read itself tells and counts who may not have it, so that it comes after the block. */
async function readUnlessBlocked(
  request: ExchangeRequest,
  notBlocked: Promise<void> | null,
  deps: ExchangeDeps,
): Promise<State> {
  if (request.zoneId === '') await notBlocked
  return readState(request, deps)
}

/** An exchange before its first check. */
export function newExchange(
  request: ExchangeRequest,
  known: Recalled,
  counted: Exchange['counted'],
  pendingUse: PendingUse | null = null,
): Exchange {
  return {
    request,
    ...known,
    pendingUse,
    counted,
    presented: null,
    recordId: null,
    record: null,
    agentSessionId: request.agentSessionId,
    delegationEdgeId: request.delegationEdgeId,
    session: null,
    delegation: null,
    bundle: null,
    approval: null,
    gates: [],
    granted: [],
    firstReason: null,
    providerProblem: null,
    upstreamTokens: new Map(),
    rateLimited: { count: 0, remainingMs: 0 },
    evidence: [],
  }
}

/** The definitions whose versions the snapshot was asked to compare with. */
interface HeldDefinitions {
  readonly application: Versioned<ApplicationDefinition> | null
  readonly resources: ReadonlyMap<string, Versioned<ResourceDefinition> | null>
}

export interface State {
  readonly zoneId: string
  readonly snapshot: Snapshot
  readonly held: HeldDefinitions
}

async function readState(request: ExchangeRequest, deps: ExchangeDeps): Promise<State> {
  try {
    const zoneId = request.zoneId === '' ? await locateControlZone(request, deps) : request.zoneId
    const held = {
      application: deps.applications.held(cacheKey(zoneId, request.applicationId)),
      resources: new Map(
        request.resources.map((name) => [name, deps.resources.held(cacheKey(zoneId, name))]),
      ),
    }
    return { zoneId, snapshot: await deps.readSnapshot(snapshotQuery(request, zoneId, held, deps)), held }
  } catch (error) {
    if (error instanceof Error && error.name === 'CaracalError') throw error
    throw storeFailure(error, 'snapshot failed')
  }
}

/** A resource of a zone and its active policy, read without any caller: what a launch needs. */
export async function readResourceSnapshot(
  zoneId: string,
  name: string,
  deps: ExchangeDeps,
): Promise<{ readonly resource: ResourceDefinition | null; readonly binding: ActiveVersion | null }> {
  const held = {
    application: null,
    resources: new Map([[name, deps.resources.held(cacheKey(zoneId, name))]]),
  }
  try {
    const snapshot = await deps.readSnapshot({
      zoneId,
      applicationId: '',
      applicationKnown: null,
      recordId: null,
      sessionId: null,
      edgeId: null,
      resources: [{ name, known: held.resources.get(name)?.version ?? null }],
      keyKnown: deps.keys.heldKid(zoneId),
    })
    return {
      resource: resolveResources(zoneId, snapshot, held, deps.resources).get(name) ?? null,
      binding: activeVersion(snapshot),
    }
  } catch (error) {
    throw storeFailure(error, 'snapshot failed')
  }
}

/** The active policy set version a snapshot saw. */
export function activeVersion(snapshot: Snapshot): ActiveVersion | null {
  const { policy_set_id: policySetId, policy_set_version_id: versionId } = snapshot
  return policySetId === null || versionId === null ? null : { policySetId, versionId }
}

function snapshotQuery(
  request: ExchangeRequest,
  zoneId: string,
  held: HeldDefinitions,
  deps: ExchangeDeps,
): SnapshotQuery {
  const claims = presentedClaims(request)
  return {
    zoneId,
    applicationId: request.applicationId,
    applicationKnown: held.application?.version ?? null,
    recordId: textClaim(claims, 'sid') ?? request.sessionId,
    sessionId: textClaim(claims, 'agent_session_id') ?? request.agentSessionId,
    edgeId: textClaim(claims, 'delegation_edge_id') ?? request.delegationEdgeId,
    resources: request.resources.map((name) => ({
      name,
      known: held.resources.get(name)?.version ?? null,
    })),
    keyKnown: deps.keys.heldKid(zoneId),
  }
}

function presentedClaims(request: ExchangeRequest): Readonly<Record<string, unknown>> {
  if (request.verifiedClaims !== null) return request.verifiedClaims
  if (request.subjectToken === null || request.subjectTokenType !== accessTokenType) return {}
  return parseCompact(request.subjectToken)?.claims ?? {}
}

/** No id of ours is longer than 200 characters or holds a NUL, which the store would refuse with the whole batch. */
function textClaim(claims: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = claims[name]
  return typeof value === 'string' && value !== '' && value.length <= 200 && !value.includes('\0')
    ? value
    : null
}

function cacheKey(zoneId: string, name: string): string {
  return `${zoneId}\0${name}`
}

function resolveApplication(
  request: ExchangeRequest,
  zoneId: string,
  snapshot: Snapshot,
  held: HeldDefinitions,
  cache: VersionedCache<ApplicationDefinition>,
): ApplicationDefinition | null {
  const version = snapshot.application_version
  if (version === null) return null
  const key = cacheKey(zoneId, request.applicationId)
  if (snapshot.application !== null) {
    const value = applicationDefinition(request.applicationId, zoneId, snapshot.application)
    cache.put(key, { version, value })
    return value
  }
  return heldAt(held.application, version)
}

/** The store found the held version to be current, so it sent no content. */
function heldAt<T>(held: Versioned<T> | null | undefined, version: string): T {
  if (held?.version !== version) throw internalError('snapshot answered neither content nor the held version')
  return held.value
}

function applicationDefinition(id: string, zoneId: string, row: ApplicationRow): ApplicationDefinition {
  return {
    id,
    zoneId,
    name: row.name,
    registrationMethod: row.registration_method,
    secretHash: row.client_secret_hash,
    traits: row.traits,
  }
}

function resolveResources(
  zoneId: string,
  snapshot: Snapshot,
  held: HeldDefinitions,
  cache: VersionedCache<ResourceDefinition>,
): ReadonlyMap<string, ResourceDefinition> {
  const resolved = new Map<string, ResourceDefinition>()
  for (const { name, version, definition } of snapshot.resources) {
    if (version === null) continue
    const key = cacheKey(zoneId, name)
    if (definition !== null) {
      const value = resourceDefinition(zoneId, definition)
      cache.put(key, { version, value })
      resolved.set(name, value)
      continue
    }
    resolved.set(name, heldAt(held.resources.get(name), version))
  }
  return resolved
}

function resourceDefinition(zoneId: string, row: ResourceRow): ResourceDefinition {
  return {
    id: row.id,
    zoneId,
    identifier: row.identifier,
    upstreamUrl: row.upstream_url,
    scopes: row.scopes,
    operations: declaredOperations(row.operations),
    operationEnforcement: row.operation_enforcement,
    provider:
      row.provider !== null
        ? {
            id: row.provider.id,
            kind: row.provider.provider_kind,
            config: row.provider.config_json,
            sealedSecrets: row.provider.envelope === null ? null : Buffer.from(row.provider.envelope, 'hex'),
          }
        : row.credential_provider_id === null
          ? null
          : 'missing',
  }
}

/** Entries that are not complete declare nothing: under enforcement that denies. */
function declaredOperations(value: unknown): DeclaredOperation[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return []
    const { method, path, scope } = entry as Record<string, unknown>
    return typeof method === 'string' && typeof path === 'string' && typeof scope === 'string'
      ? [declareOperation(method, path, scope)]
      : []
  })
}
