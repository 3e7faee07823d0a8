/**
 * Every column that holds a CSS1 envelope, and what binds each value to its place
 * (storage-and-operations §8.3). A column that is not in this list would be lost with
 * the previous KEK; the test of the re-seal walk compares it with the schema.
 */
import { credentialKeyAad } from './credentials.ts'
import { columnAad } from './secret-store.ts'

export interface SealedPlace {
  readonly table: string
  /** Primary key: text. */
  readonly key: string
  readonly column: string
  /** A second column that the AAD depends on. */
  readonly kind?: string
  aad(key: string, kind: string | null): string | null
}

const keyNames: Readonly<Record<string, string>> = {
  zone_signing_key: columnAad.zoneSigningKey,
  zone_audit_key: columnAad.zoneAuditKey,
}

export const sealedPlaces: readonly SealedPlace[] = [
  // First: without it nobody's secret verifies.
  { table: 'credential_keys', key: 'id', column: 'envelope', aad: () => credentialKeyAad },
  { table: 'platform_signing_keys', key: 'id', column: 'envelope', aad: () => columnAad.platformSigningKey },
  {
    table: 'secrets',
    key: 'id',
    column: 'envelope',
    kind: 'name',
    aad: (_key, name) => keyNames[name ?? ''] ?? null,
  },
  { table: 'secret_store', key: 'ref', column: 'envelope', aad: (ref) => ref },
  {
    table: 'provider_connections',
    key: 'id',
    column: 'access_token_ct',
    aad: () => columnAad.connectionAccessToken,
  },
  {
    table: 'provider_connections',
    key: 'id',
    column: 'refresh_token_ct',
    aad: () => columnAad.connectionRefreshToken,
  },
  {
    table: 'notification_sinks',
    key: 'id',
    column: 'secret_ct',
    aad: () => columnAad.notificationSinkSecret,
  },
]
