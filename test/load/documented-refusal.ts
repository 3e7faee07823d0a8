/** The refusals that a broken dependency or process explains (storage-and-operations §17), by role. */
export type AnsweringRole = 'sts' | 'gateway' | 'coordinator' | 'control'

export interface Answer {
  /** 0: the connection ended, or was never made. */
  readonly status: number
  readonly body: string
}

/** Whether a client may see this answer while something is broken; `cuts`: one of our processes. */
export function isDocumented(role: AnsweringRole, { status, body }: Answer, cuts: boolean): boolean {
  // Whatever a store does, a process that lives answers.
  if (status === 0) return cuts
  const code = codeOf(body)
  // A process that is being replaced finishes what it has and says so to the rest.
  if (status === 503 && code === 'draining') return true
  switch (role) {
    case 'sts':
      return status === 503 && code === 'sts_unavailable'
    case 'gateway':
      if (status === 502 || status === 503 || status === 504) return code === 'sts_unavailable'
      // §7.4: what was minted before the replay memory was lost is refused, and minted again.
      return status === 401 && body.includes('mandate predates replay memory')
    case 'coordinator':
      // Its 503 names the dependency; a key it never saw cannot be fetched while the STS is away.
      return isDown(status, code) || (status === 401 && code === 'invalid_token')
    case 'control':
      return isDown(status, code)
  }
}

/** A change that committed just before the store went away is answered as one that could not be recorded. */
function isDown(status: number, code: string | null): boolean {
  return status === 503 || (status === 500 && code === 'audit_unavailable')
}

function codeOf(body: string): string | null {
  try {
    const { error } = JSON.parse(body) as { error?: unknown }
    return typeof error === 'string' ? error : null
  } catch {
    return null
  }
}
