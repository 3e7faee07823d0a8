/** `agent_services`: unique by (zone, application, endpoint). */
import type postgres from 'postgres'
import type { Queryable } from '../../../platform/db/port.ts'
import { type PageRequest, readPage } from './page.ts'

export type ServiceHealth = 'starting' | 'healthy' | 'degraded' | 'unhealthy'

export interface ServiceRow {
  readonly id: string
  readonly zone_id: string
  readonly application_id: string
  readonly agent_session_id: string | null
  readonly endpoint_url: string
  readonly protocol_versions: string[]
  readonly framework_name: string | null
  readonly framework_version: string | null
  readonly capabilities: string[]
  readonly health: ServiceHealth
  readonly metadata_json: Record<string, unknown>
  readonly last_heartbeat_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
}

const columns = (sql: postgres.ISql) => sql`
  id, zone_id, application_id, agent_session_id, endpoint_url, protocol_versions, framework_name,
  framework_version, capabilities, health, metadata_json, last_heartbeat_at, created_at, updated_at`

export interface ServiceDescription {
  readonly endpointUrl: string
  readonly protocolVersions: readonly string[]
  readonly framework: { readonly name: string | null; readonly version: string | null }
  readonly capabilities: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface Registration extends ServiceDescription {
  readonly id: string
  readonly zoneId: string
  readonly applicationId: string
  /** Null leaves the session of an existing row as it is. */
  readonly sessionId: string | null
  /** Null: `starting` for a new row, unchanged for an existing one. */
  readonly health: ServiceHealth | null
}

/** Inserts the service or takes over its new description; id and heartbeat time of an existing row stay. */
export async function upsertService(db: Queryable, service: Registration): Promise<ServiceRow> {
  const [row] = await db.sql<ServiceRow[]>`
    insert into agent_services (
      id, zone_id, application_id, agent_session_id, endpoint_url, protocol_versions, framework_name,
      framework_version, capabilities, health, metadata_json, last_heartbeat_at
    )
    values (
      ${service.id}, ${service.zoneId}, ${service.applicationId}, ${service.sessionId}, ${service.endpointUrl},
      ${service.protocolVersions as string[]}::text[], ${service.framework.name}, ${service.framework.version},
      ${service.capabilities as string[]}::text[], coalesce(${service.health}::text, 'starting'),
      ${JSON.stringify(service.metadata)}::text::jsonb, now()
    )
    on conflict (zone_id, application_id, endpoint_url) do update
    set protocol_versions = excluded.protocol_versions,
        framework_name = excluded.framework_name,
        framework_version = excluded.framework_version,
        capabilities = excluded.capabilities,
        metadata_json = excluded.metadata_json,
        agent_session_id = coalesce(excluded.agent_session_id, agent_services.agent_session_id),
        health = coalesce(${service.health}::text, agent_services.health),
        updated_at = now()
    returning ${columns(db.sql)}`
  if (row === undefined) throw new Error('a service upsert returned no row')
  return row
}

export interface ServiceChange {
  readonly zoneId: string
  readonly applicationId: string
  readonly id: string
  /** What is undefined stays as it is. */
  readonly health: ServiceHealth | undefined
  readonly endpointUrl: string | undefined
  readonly protocolVersions: readonly string[] | undefined
  readonly framework: ServiceDescription['framework'] | undefined
  readonly capabilities: readonly string[] | undefined
  readonly metadata: Readonly<Record<string, unknown>> | undefined
}

/** Null when it is no service of the application. A taken endpoint violates the unique key. */
export async function updateService(db: Queryable, change: ServiceChange): Promise<ServiceRow | null> {
  const { framework, metadata } = change
  const [row] = await db.sql<ServiceRow[]>`
    update agent_services
    set health = coalesce(${change.health ?? null}::text, health),
        endpoint_url = coalesce(${change.endpointUrl ?? null}::text, endpoint_url),
        protocol_versions = coalesce(${(change.protocolVersions as string[]) ?? null}::text[], protocol_versions),
        framework_name = case when ${framework !== undefined} then ${framework?.name ?? null}::text else framework_name end,
        framework_version = case when ${framework !== undefined} then ${framework?.version ?? null}::text else framework_version end,
        capabilities = coalesce(${(change.capabilities as string[]) ?? null}::text[], capabilities),
        metadata_json = coalesce(${metadata === undefined ? null : JSON.stringify(metadata)}::text::jsonb, metadata_json),
        updated_at = now()
    where zone_id = ${change.zoneId}
      and application_id = ${change.applicationId}
      and id = ${change.id}
    returning ${columns(db.sql)}`
  return row ?? null
}

export interface Beat {
  readonly zoneId: string
  readonly applicationId: string
  readonly id: string
  readonly health: ServiceHealth
  /** Merged, not deep. */
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Null when it is no service of the application. */
export async function beatService(db: Queryable, beat: Beat): Promise<ServiceRow | null> {
  const [row] = await db.sql<ServiceRow[]>`
    update agent_services
    set health = ${beat.health},
        metadata_json = metadata_json || ${JSON.stringify(beat.metadata)}::text::jsonb,
        last_heartbeat_at = statement_timestamp(),
        updated_at = statement_timestamp()
    where zone_id = ${beat.zoneId}
      and application_id = ${beat.applicationId}
      and id = ${beat.id}
    returning ${columns(db.sql)}`
  return row ?? null
}

/** Services of the zone, or of one session; null for an unknown cursor. */
export function listServices(
  db: Queryable,
  zoneId: string,
  sessionId: string | null,
  page: PageRequest,
): Promise<ServiceRow[] | null> {
  const { sql } = db
  return readPage(
    db,
    {
      table: 'agent_services',
      columns: columns(sql),
      visible: sql`zone_id = ${zoneId}`,
      ...(sessionId === null ? {} : { wanted: sql`agent_session_id = ${sessionId}` }),
    },
    page,
  )
}
