/** Workloads: what `caracal run` launches, and the credentials each may ask for (control-api §7.6). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface WorkloadBinding {
  readonly env: string
  readonly resource: string
  readonly scopes?: readonly string[]
  readonly optional?: true
  readonly on_failure?: 'warn' | 'error'
}

export interface Workload {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly bindings: readonly WorkloadBinding[]
  readonly created_by: string | null
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, bindings, created_by, created_via_operator, updated_by, updated_via_operator,
  created_at, updated_at`

export async function listWorkloads(
  db: Queryable,
  zoneId: string,
  query: PageQuery,
): Promise<Page<Workload>> {
  const { sql } = db
  const keys = keyset(sql, query, ['workloads', zoneId])
  const rows = await plannedForItsValues(sql<(Workload & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position} from workloads
    where zone_id = ${zoneId} and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findWorkload(db: Queryable, zoneId: string, id: string): Promise<Workload | null> {
  const [row] = await db.sql<Workload[]>`
    select ${columns(db)} from workloads where zone_id = ${zoneId} and id = ${id}`
  return row ?? null
}

export async function lockWorkload(tx: Tx, zoneId: string, id: string): Promise<Workload | null> {
  const [row] = await tx.sql<Workload[]>`
    select ${columns(tx)} from workloads where zone_id = ${zoneId} and id = ${id} for update`
  return row ?? null
}

/** Names are compared without case; the lock makes check and write one step. */
export async function lockWorkloadNames(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended(${`workload_names:${zoneId}`}, 0))`
}

export async function workloadNameTaken(
  db: Queryable,
  zoneId: string,
  name: string,
  exceptId: string | null,
): Promise<boolean> {
  const rows = await db.sql`
    select 1 from workloads
    where zone_id = ${zoneId} and lower(name) = lower(${name}) and id is distinct from ${exceptId}
    limit 1`
  return rows.length > 0
}

export async function insertWorkload(
  tx: Tx,
  workload: {
    readonly id: string
    readonly zoneId: string
    readonly name: string
    readonly secretHash: string
  },
  by: Attribution,
): Promise<Workload> {
  const [row] = await tx.sql<Workload[]>`
    insert into workloads
      (id, zone_id, name, secret_hash, created_by, created_via_operator, updated_by, updated_via_operator, updated_at)
    values
      (${workload.id}, ${workload.zoneId}, ${workload.name}, ${workload.secretHash},
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator}, now())
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

export async function updateWorkload(
  tx: Tx,
  zoneId: string,
  id: string,
  patch: {
    readonly name?: string | undefined
    readonly bindings?: readonly WorkloadBinding[] | undefined
    readonly secretHash?: string | undefined
  },
  by: Attribution,
): Promise<Workload> {
  const bindings = patch.bindings === undefined ? null : JSON.stringify(patch.bindings)
  const [row] = await tx.sql<Workload[]>`
    update workloads set
      name = coalesce(${patch.name ?? null}, name),
      bindings = coalesce(${bindings}::jsonb, bindings),
      secret_hash = coalesce(${patch.secretHash ?? null}, secret_hash),
      updated_by = ${by.by},
      updated_via_operator = ${by.viaOperator},
      updated_at = now()
    where zone_id = ${zoneId} and id = ${id}
    returning ${columns(tx)}`
  if (row === undefined) throw new Error('a locked workload cannot vanish')
  return row
}

export async function deleteWorkload(tx: Tx, zoneId: string, id: string): Promise<boolean> {
  const rows = await tx.sql`delete from workloads where zone_id = ${zoneId} and id = ${id} returning id`
  return rows.length > 0
}
