/** `POST /v1/run/manifest` (sts §14): which environment names a workload is launched with. */
import type { Form } from '../form.ts'
import { internalError, resourceNotFound, unavailable } from '../refusal.ts'
import { type Binding, readBindings } from './bindings.ts'
import {
  assertRunRate,
  authenticateWorkload,
  credentialsOf,
  type Launch,
  type WorkloadDeps,
  workloadMetadata,
} from './workload.ts'

export interface RunManifest {
  readonly zoneId: string
  readonly workloadId: string
  readonly bindings: readonly Binding[]
}

export async function runManifest(form: Form, launch: Launch, deps: WorkloadDeps): Promise<RunManifest> {
  const credentials = credentialsOf(form)
  await assertRunRate(credentials.workloadId, 'run-manifest', deps)
  const workload = await authenticateWorkload(credentials, launch, deps)
  const bindings = readBindings(workload.bindings)
  if (bindings === null) throw internalError('bindings of the workload cannot be read')
  if (bindings.length === 0) throw resourceNotFound('workload has no bindings')
  const accepted = await deps.evidence.emit({
    zoneId: workload.zone_id,
    requestId: launch.requestId,
    type: 'run_launch',
    decision: 'allow',
    status: 'complete',
    metadata: { ...workloadMetadata(workload, launch), binding_count: bindings.length },
  })
  if (accepted === 'lost') throw unavailable('evidence cannot be kept')
  return { zoneId: workload.zone_id, workloadId: workload.id, bindings }
}
