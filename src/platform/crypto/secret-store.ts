/**
 * Where sealed secrets live and what binds them to their place
 * (storage-and-operations §8.3–§8.4). The builtin backend is the table
 * `secret_store`; the AAD of every value in it is its own ref.
 */
import type { EnvelopeCipher, SecretStore } from './port.ts'

/** Ref of a provider's secret document (JSON of all its secret keys). */
export function providerSecretRef(zoneId: string, providerId: string): string {
  return `zones/${zoneId}/providers/${providerId}/secretConfig`
}

/** Ref of the custody copy of an application's client secret. */
export function clientSecretRef(zoneId: string, applicationId: string): string {
  return `zones/${zoneId}/applications/${applicationId}/clientSecret`
}

/** Ref of the custody copy of a workload's secret. */
export function workloadSecretRef(zoneId: string, workloadId: string): string {
  return `zones/${zoneId}/workloads/${workloadId}/secret`
}

/** AADs of values that are sealed straight into a column of their own table. */
export const columnAad = {
  connectionAccessToken: 'caracal/providerConnections/accessToken',
  connectionRefreshToken: 'caracal/providerConnections/refreshToken',
  notificationSinkSecret: 'caracal/notificationSinks/secret',
  operatorPlanSecrets: 'caracal/operatorPlanSecrets/values',
  platformSigningKey: 'caracal/platform/signingKey',
  zoneAuditKey: 'caracal/secrets/zoneAuditKey',
  zoneSigningKey: 'caracal/secrets/zoneSigningKey',
} as const

function zoneOf(ref: string): string {
  const [family, zoneId] = ref.split('/')
  if (family !== 'zones' || !zoneId) throw new Error('secret ref does not name a zone')
  return zoneId
}

/**
 * The builtin backend. `cipher` is `null` in roles without a KEK, where every call rejects.
 * `get` throws `EnvelopeError` when the row is sealed under another KEK.
 */
export function createSecretStore(options: { readonly cipher: EnvelopeCipher | null }): SecretStore {
  function requireCipher(): EnvelopeCipher {
    if (options.cipher === null) throw new Error('this process has no SECRET_STORE_KEK')
    return options.cipher
  }

  return {
    async put(db, ref, value) {
      const envelope = requireCipher().seal(Buffer.from(value, 'utf8'), ref)
      await db.sql`
        insert into secret_store (ref, zone_id, envelope)
        values (${ref}, ${zoneOf(ref)}, ${envelope})
        on conflict (ref) do update
        set envelope = excluded.envelope,
            version = secret_store.version + 1,
            updated_at = now()`
    },

    async get(db, ref) {
      const [row] = await db.sql<{ envelope: Buffer }[]>`
        select envelope
        from secret_store
        where ref = ${ref}`
      return row ? requireCipher().open(row.envelope, ref).toString('utf8') : null
    },

    async delete(db, ref) {
      await db.sql`delete from secret_store where ref = ${ref}`
    },
  }
}
