/** Tells before serving whether the store has the schema this build needs (storage-and-operations §7.1). */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleName } from '../role.ts'
import { getTableColumns, getTableName, type PgTable } from './drizzle.ts'
import { appliedVersions, buildVersions } from './migrate.ts'
import type { Queryable } from './port.ts'
import * as schema from './schema/index.ts'
import { isUnavailable, sqlState } from './unavailable.ts'

/** The store lacks something this build needs. The message names it and the remedy. */
export class SchemaBehind extends Error {
  override readonly name = 'SchemaBehind'
}

const shared: readonly PgTable[] = [
  schema.deployment,
  schema.busEvent,
  schema.busCursor,
  schema.busDelivery,
  schema.ephemera,
]

const definitions: readonly PgTable[] = [schema.zones, schema.applications, schema.resources]

/** Tables each role reads or writes (storage-and-operations §5). */
const tablesOf: Readonly<Record<RoleName, readonly PgTable[]>> = {
  control: [
    ...definitions,
    schema.providers,
    schema.workloads,
    schema.policies,
    schema.policyVersions,
    schema.policySets,
    schema.policySetVersions,
    schema.policySetBindings,
    schema.delegatedGrants,
    schema.providerConnections,
    schema.subjectIssuers,
    schema.secretStore,
    schema.adminTokens,
    schema.adminAuditEvents,
    schema.auditRetention,
    schema.stsRateLimit,
    schema.notificationSinks,
    schema.notificationDeliveries,
    schema.serviceAccounts,
    schema.platformSigningKeys,
    schema.apiKeys,
    schema.roles,
    schema.roleBindings,
    schema.consoleAccounts,
    schema.consoleIdentities,
    schema.consoleSessions,
    schema.credentialKeys,
    schema.authorityRecords,
    schema.subjects,
    schema.stepUpChallenges,
    schema.agentSessions,
    schema.agentSessionLabels,
    schema.delegationEdges,
    schema.delegationGraphEpochs,
    schema.caracalOutbox,
    schema.auditEvents,
    schema.auditEventLabels,
  ],
  sts: [
    ...definitions,
    schema.providers,
    schema.workloads,
    schema.policyVersions,
    schema.policySetVersions,
    schema.policySetBindings,
    schema.delegatedGrants,
    schema.providerConnections,
    schema.subjectIssuers,
    schema.secretStore,
    schema.credentialKeys,
    schema.stsRateLimit,
    schema.secrets,
    schema.authorityRecords,
    schema.stepUpChallenges,
    schema.agentSessions,
    schema.delegationEdges,
    schema.delegationGraphEpochs,
  ],
  coordinator: [
    ...definitions,
    schema.authorityRecords,
    schema.agentSessions,
    schema.agentSessionLabels,
    schema.agentServices,
    schema.agentInvocations,
    schema.delegationEdges,
    schema.delegationGraphEpochs,
    schema.coordinatorIdempotencyReceipts,
    schema.caracalOutbox,
    schema.adminAuditEvents,
    schema.credentialKeys,
  ],
  gateway: [...definitions, schema.providers, schema.authorityRecords, schema.agentSessions],
  audit: [
    schema.auditEvents,
    schema.auditEventLabels,
    schema.auditChainHeads,
    schema.auditIngestAlerts,
    schema.auditDeadLetters,
    schema.auditExportWatermark,
    schema.auditTamperCheckpoints,
    schema.auditChainCuts,
    schema.auditRetention,
  ],
}

/** Rejects with `SchemaBehind` naming the first missing piece. */
export async function probeSchema(db: Pick<Queryable, 'sql'>, roles: readonly RoleName[]): Promise<void> {
  const wanted = await buildVersions()
  const applied = await read(db, 'schema_migrations', () => appliedVersions(db.sql))
  if (applied.size === 0) throw behind('the database has no Caracal schema')
  const missing = wanted.find((version) => !applied.has(version))
  if (missing !== undefined) throw behind(`migration ${missing} is not applied`)

  const tables = new Set([...shared, ...roles.flatMap((role) => tablesOf[role])])
  await Promise.all(
    [...tables].map((table) => {
      const name = getTableName(table)
      const columns = Object.values(getTableColumns(table)).map((column) => column.name)
      return read(db, name, () => db.sql`select ${db.sql(columns)} from ${db.sql(name)} limit 0`)
    }),
  )
}

/** As `probeSchema`, but gives a migration that runs elsewhere `timeoutMs` to finish. */
export async function waitForSchema(
  db: Pick<Queryable, 'sql'>,
  roles: readonly RoleName[],
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    try {
      await probeSchema(db, roles)
      return
    } catch (error) {
      const worthWaiting = error instanceof SchemaBehind || isUnavailable(error)
      if (!worthWaiting || performance.now() >= deadline) throw error
      await sleep(250, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
}

function behind(what: string): SchemaBehind {
  return new SchemaBehind(`${what}: run caracal migrate`)
}

async function read<T>(db: Pick<Queryable, 'sql'>, table: string, query: () => PromiseLike<T>): Promise<T> {
  try {
    return await query()
  } catch (error) {
    const state = sqlState(error)
    if (state === '42P01') throw behind(`table ${table} is missing`)
    if (state === '42703') throw behind(`table ${table} lacks a column (${(error as Error).message})`)
    if (state === '42501') {
      const [session] = await db.sql<{ name: string }[]>`select current_user as name`
      throw new SchemaBehind(
        `database role ${session?.name ?? 'unknown'} may not read table ${table}: run caracal migrate with a role that may grant`,
      )
    }
    throw error
  }
}
