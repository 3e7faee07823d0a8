/** Who launches (sts §14): the workload's rate and secret, the same two answers on both routes. */

import type { CredentialHasher } from '../../../platform/crypto/port.ts'
import type { Database } from '../../../platform/db/port.ts'
import { uuidPattern } from '../../../platform/ids.ts'
import type { Evidence, Metadata } from '../evidence.ts'
import type { Form } from '../form.ts'
import type { MintLimit } from '../mint-limit.ts'
import { accessDenied, invalidToken, rateLimited } from '../refusal.ts'
import { findWorkload, type WorkloadRow } from '../store/workloads.ts'
import { storeFailure } from '../store-failure.ts'

export interface Launch {
  readonly requestId: string
  /** `X-Caracal-Launch-Id` when it is a UUID. */
  readonly launchId: string | null
}

export interface WorkloadDeps {
  readonly db: Database
  readonly hasher: CredentialHasher
  readonly mintLimit: MintLimit
  readonly evidence: Evidence
}

export interface Credentials {
  readonly workloadId: string
  readonly secret: string
}

export function launchIdOf(header: string | undefined): string | null {
  return header !== undefined && uuidPattern.test(header) ? header.toLowerCase() : null
}

export function credentialsOf(form: Form): Credentials {
  const workloadId = (form.get('workload_id') ?? '').trim()
  const secret = form.get('secret') ?? ''
  if (workloadId === '') throw invalidToken('workload_id is required')
  if (secret === '') throw invalidToken('secret is required')
  return { workloadId, secret }
}

/** Counted before the secret is looked at. */
export async function assertRunRate(
  workloadId: string,
  kind: 'run-manifest' | 'run-credential',
  deps: WorkloadDeps,
): Promise<void> {
  const suffix = kind === 'run-manifest' ? 'fetch' : 'mint'
  const [counter] = await deps.mintLimit.count([`rl:${kind}:${workloadId}:${suffix}`])
  if (counter === undefined || counter.count > deps.mintLimit.perMinute()) {
    throw rateLimited(counter?.remainingMs ?? 60_000)
  }
}

/** The workload, or the same 401 whether it is unknown or its secret is wrong. */
export async function authenticateWorkload(
  credentials: Credentials,
  launch: Launch,
  deps: WorkloadDeps,
): Promise<WorkloadRow> {
  let workload: WorkloadRow | null
  try {
    workload = await findWorkload(deps.db, credentials.workloadId)
  } catch (error) {
    throw storeFailure(error, 'workload cannot be read')
  }
  const proven = await deps.hasher.verify(credentials.secret, workload?.secret_hash ?? null)
  if (workload !== null && proven) return workload
  if (workload !== null) {
    void deps.evidence.emit({
      zoneId: workload.zone_id,
      requestId: launch.requestId,
      type: 'run_launch',
      decision: 'deny',
      status: 'workload_auth_failed',
      metadata: workloadMetadata(workload, launch),
    })
  }
  throw accessDenied('invalid workload credentials', 401, {
    detail: workload === null ? 'unknown workload' : 'workload secret does not match',
  })
}

export function workloadMetadata(workload: WorkloadRow, launch: Launch): Metadata {
  return {
    workload_id: workload.id,
    workload_name: workload.name,
    ...(launch.launchId === null ? {} : { launch_id: launch.launchId }),
  }
}
