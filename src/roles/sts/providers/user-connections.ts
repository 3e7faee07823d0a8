/**
 * Upstream tokens of people (sts §10.5, gateway §25.4): the caller's own connection, or
 * the zone's shared one, refreshed shortly before it ends: once in this process, once
 * across replicas, and guarded by the row's version.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { EnvelopeCipher } from '../../../platform/crypto/port.ts'
import { columnAad } from '../../../platform/crypto/secret-store.ts'
import type { Database } from '../../../platform/db/port.ts'
import type { EgressGuard } from '../../../platform/egress/guarded-fetch.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { ProviderDefinition } from '../definitions.ts'
import type { SecretDocument, UpstreamToken } from '../directive.ts'
import type { StsCounters } from '../metrics.ts'
import {
  type Connection,
  expireConnection,
  findConnection,
  readConnection,
  storeRefreshed,
} from '../store/connections.ts'
import type { Circuit } from './circuit.ts'
import { refreshOnce } from './refresh-lease.ts'
import { requestToken, type TokenGrant } from './token-endpoint.ts'
import { UpstreamTokenError } from './upstream-token-error.ts'

export interface UserConnections {
  /** The upstream token of this subject, `null` when nobody connected an account. Rejects with `UpstreamTokenError`. */
  get(
    zoneId: string,
    provider: ProviderDefinition,
    secrets: SecretDocument,
    subjectId: string,
  ): Promise<UpstreamToken | null>
}

export interface UserConnectionDeps {
  readonly db: Database
  readonly cipher: EnvelopeCipher
  readonly ephemera: Ephemera
  readonly egress: EgressGuard
  readonly circuit: Circuit
  readonly counters: StsCounters
  readonly log: Logger
  readonly maxLifetimeSeconds: number
}

const refreshAheadMs = 30_000
/** A stored token with this much left is still used when the endpoint cannot be reached. */
const usableMs = 5_000
const storeAttempts = 3

interface Refresh {
  readonly zoneId: string
  readonly connectionId: string
  readonly provider: ProviderDefinition
  readonly secrets: SecretDocument
}

export function createUserConnections(deps: UserConnectionDeps): UserConnections {
  const refreshing = new Map<string, Promise<void>>()

  function refreshShared(refresh: Refresh): Promise<void> {
    const running = refreshing.get(refresh.connectionId)
    if (running !== undefined) {
      deps.counters.providerRefreshShared += 1
      return running
    }
    const started = refreshOnce(deps.ephemera, refresh.connectionId, deps.counters, () =>
      refreshConnection(refresh, deps),
    ).finally(() => refreshing.delete(refresh.connectionId))
    refreshing.set(refresh.connectionId, started)
    return started
  }

  return {
    async get(zoneId, provider, secrets, subjectId) {
      const connection = await findConnection(deps.db, zoneId, provider.id, subjectId)
      if (connection === null) return null
      if (connection.expires_at === null) return openToken(connection, deps)
      if (connection.refresh_token_ct === null) {
        if (connection.expires_at > connection.now) return openToken(connection, deps)
        await expireConnection(deps.db, zoneId, connection.id)
        throw notRenewable('the connected account has expired and must be connected again')
      }
      if (connection.expires_at > connection.now + refreshAheadMs) return openToken(connection, deps)
      try {
        await refreshShared({ zoneId, connectionId: connection.id, provider, secrets })
      } catch (error) {
        const unreachable = error instanceof UpstreamTokenError && error.transport
        if (unreachable && connection.expires_at > connection.now + usableMs)
          return openToken(connection, deps)
        throw error
      }
      const refreshed = await readConnection(deps.db, zoneId, connection.id)
      return refreshed === null ? null : openToken(refreshed, deps)
    },
  }
}

/** Re-reads first: somebody may have refreshed while this process waited for the lease. */
async function refreshConnection(refresh: Refresh, deps: UserConnectionDeps): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const connection = await readConnection(deps.db, refresh.zoneId, refresh.connectionId)
    if (connection === null || connection.refresh_token_ct === null) {
      throw notRenewable('the connected account is gone')
    }
    if (connection.expires_at === null || connection.expires_at > connection.now + refreshAheadMs) return
    const refreshToken = open(connection, connection.refresh_token_ct, columnAad.connectionRefreshToken, deps)
    const grant = await fetchGrant(refresh, refreshToken, deps)
    const seal = (value: string, aad: string) => deps.cipher.seal(Buffer.from(value, 'utf8'), aad)
    const stored = await storeRefreshed(
      deps.db,
      refresh.zoneId,
      refresh.connectionId,
      connection.refresh_token_version,
      {
        accessToken: seal(grant.accessToken, columnAad.connectionAccessToken),
        refreshToken: seal(grant.refreshToken ?? refreshToken, columnAad.connectionRefreshToken),
        lifetimeSeconds: Math.min(grant.expiresIn ?? deps.maxLifetimeSeconds, deps.maxLifetimeSeconds),
      },
    )
    if (stored) return
    if (attempt === storeAttempts) throw notRenewable('the connected account changed while it was refreshed')
    await pause(25 * attempt + Math.random() * 25)
  }
}

async function fetchGrant(
  refresh: Refresh,
  refreshToken: string,
  deps: UserConnectionDeps,
): Promise<TokenGrant> {
  const { provider, secrets } = refresh
  if (await deps.circuit.isOpen(provider.id)) {
    deps.counters.providerCircuitOpen += 1
    throw new UpstreamTokenError(
      'credential_expired_not_renewable',
      'token endpoint failed too often and is given a rest',
      true,
    )
  }
  try {
    const grant = await requestToken(deps.egress, provider, secrets, {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
    })
    await deps.circuit.succeeded(provider.id)
    return grant
  } catch (error) {
    deps.counters.providerRefreshErrors += 1
    await deps.circuit.failed(provider.id)
    if (!(error instanceof UpstreamTokenError)) throw error
    throw new UpstreamTokenError('credential_expired_not_renewable', error.message, error.transport)
  }
}

function openToken(connection: Connection, deps: UserConnectionDeps): UpstreamToken | null {
  if (connection.access_token_ct === null) return null
  return {
    value: open(connection, connection.access_token_ct, columnAad.connectionAccessToken, deps),
    connectionId: connection.id,
    ...(connection.expires_at === null ? {} : { expiresAt: Math.floor(connection.expires_at / 1000) }),
  }
}

/** That it cannot be opened is the fault of a key or a row of ours: connecting the account again helps nobody. */
function open({ id }: Connection, envelope: Buffer, aad: string, deps: UserConnectionDeps): string {
  try {
    return deps.cipher.open(envelope, aad).toString('utf8')
  } catch (error) {
    deps.log.error({ err: error, connection_id: id }, 'stored_credential_unreadable')
    throw new UpstreamTokenError('sts_unavailable', 'stored credential cannot be opened')
  }
}

function notRenewable(message: string): UpstreamTokenError {
  return new UpstreamTokenError('credential_expired_not_renewable', message)
}
