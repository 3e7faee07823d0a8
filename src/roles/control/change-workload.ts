/** Creating, changing and rotating workloads (control-api §7.6). */
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, writing } from './control.ts'
import { discardSecret, generateSecret, keepSecret, workloadSecretRef } from './custody.ts'
import { conflict, found, noFields, notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import {
  deleteWorkload,
  insertWorkload,
  lockWorkload,
  lockWorkloadNames,
  updateWorkload,
  type Workload,
  workloadNameTaken,
} from './store/workloads.ts'
import { type BindingInput, normalizeBindings } from './workload-bindings.ts'

type AnyCall = Call<unknown, unknown>

export interface WorkloadWithSecret extends Workload {
  readonly secret: string
}

const taken = () => conflict('workload_name_taken', 'a workload of this zone has this name')

export async function createWorkload(
  control: Control,
  call: AnyCall,
  name: string,
): Promise<WorkloadWithSecret> {
  const id = uuidv7()
  const secret = generateSecret('ws_')
  const row = await writing(control, call, async (tx) => {
    await lockWorkloadNames(tx, call.zoneId)
    if (await workloadNameTaken(tx, call.zoneId, name, null)) throw taken()
    const made = await insertWorkload(
      tx,
      { id, zoneId: call.zoneId, name, secretHash: control.hasher.hashGenerated(secret) },
      call.attribution,
    )
    await keepSecret(control, tx, workloadSecretRef(call.zoneId, id), secret)
    return made
  })
  return { ...row, secret }
}

/** Despite the verb PUT on the wire, what is absent stays as it is. */
export async function changeWorkload(
  control: Control,
  call: AnyCall,
  change: { readonly name?: string | undefined; readonly bindings?: readonly BindingInput[] | undefined },
): Promise<Workload> {
  if (isEmptyPatch({ ...change })) throw noFields()
  const bindings = change.bindings === undefined ? undefined : normalizeBindings(change.bindings)
  return writing(control, call, async (tx) => {
    if (change.name !== undefined) await lockWorkloadNames(tx, call.zoneId)
    found(await lockWorkload(tx, call.zoneId, call.id), 'workload_not_found')
    if (change.name !== undefined && (await workloadNameTaken(tx, call.zoneId, change.name, call.id))) {
      throw taken()
    }
    return updateWorkload(tx, call.zoneId, call.id, { name: change.name, bindings }, call.attribution)
  })
}

export async function rotateWorkloadSecret(control: Control, call: AnyCall): Promise<WorkloadWithSecret> {
  const secret = generateSecret('ws_')
  const row = await writing(control, call, async (tx) => {
    found(await lockWorkload(tx, call.zoneId, call.id), 'workload_not_found')
    const secretHash = control.hasher.hashGenerated(secret)
    const changed = await updateWorkload(tx, call.zoneId, call.id, { secretHash }, call.attribution)
    await keepSecret(control, tx, workloadSecretRef(call.zoneId, call.id), secret)
    return changed
  })
  return { ...row, secret }
}

export async function removeWorkload(control: Control, call: AnyCall): Promise<void> {
  await writing(control, call, async (tx) => {
    if (!(await deleteWorkload(tx, call.zoneId, call.id))) throw notFound('workload_not_found')
  })
  await discardSecret(control, workloadSecretRef(call.zoneId, call.id))
}
