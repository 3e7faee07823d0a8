/** Whether what the console stands on answers (sdk-cli-console §13.2); asked at most every three seconds. */
import type { HealthReport } from '../../../platform/role.ts'
import type { Control } from '../control.ts'

const REMEMBER_MS = 3000
const PROBE_MS = 2000

interface ConsoleStatus {
  readonly configured: boolean
  readonly reachable: boolean
  readonly coordinatorConfigured: boolean
  readonly coordinatorReachable: boolean
}

/** Asks the coordinator's `path` without a credential; `null` when it does not answer. */
export async function probeCoordinator(control: Control, path: string): Promise<Response | null> {
  if (control.coordinator === null) return null
  const url = new URL(path, control.settings.CARACAL_COORDINATOR_URL ?? 'http://coordinator')
  const signal = AbortSignal.timeout(PROBE_MS)
  const late = new Promise<null>((resolve) =>
    signal.addEventListener('abort', () => resolve(null), { once: true }),
  )
  try {
    return await Promise.race([control.coordinator(new Request(url, { signal })), late])
  } catch {
    return null
  }
}

export function createStatus(
  control: Control,
  ready: () => Promise<HealthReport>,
): () => Promise<ConsoleStatus> {
  let known: { readonly status: Promise<ConsoleStatus>; readonly at: number } | null = null

  async function look(): Promise<ConsoleStatus> {
    const [report, health] = await Promise.all([ready(), probeCoordinator(control, '/health')])
    return {
      configured: true,
      reachable: report.status === 200,
      coordinatorConfigured:
        control.coordinator !== null && control.settings.CARACAL_COORDINATOR_TOKEN !== null,
      coordinatorReachable: health?.ok === true,
    }
  }

  return () => {
    const now = performance.now()
    if (known === null || now - known.at > REMEMBER_MS) known = { status: look(), at: now }
    return known.status
  }
}
