/** Workloads of `caracal run` (control's table `workloads`). Primary key. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface WorkloadRow {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly secret_hash: string
  readonly bindings: unknown
}

/** The workload of that id in a live zone. */
export async function findWorkload(
  db: Pick<Queryable, 'sql'>,
  workloadId: string,
): Promise<WorkloadRow | null> {
  const [row] = await db.sql<WorkloadRow[]>`
    select w.id, w.zone_id, w.name, w.secret_hash, w.bindings
    from workloads w
    join zones z on z.id = w.zone_id and z.archived_at is null
    where w.id = ${workloadId}`
  return row ?? null
}
