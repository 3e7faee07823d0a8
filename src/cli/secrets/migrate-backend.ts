/**
 * `caracal secrets migrate <target>`: from one secret backend to another. This release has one, so
 * every target is refused, each for its own reason, and nothing is ever half moved
 * (storage-and-operations §8.4, §8.5).
 */
import { loadSettings } from '../../config/load.ts'
import { missingBackend, type SecretBackend, secretBackends } from '../../config/secret-backends.ts'
import type { Invocation } from '../command.ts'

interface Refusal {
  readonly code: 'same_backend' | 'unknown_backend' | 'secret_backend_unavailable'
  readonly message: string
}

export async function migrateBackend(
  target: string,
  { arguments: { switches }, env, cwd, out }: Invocation,
): Promise<number> {
  const { CARACAL_SECRET_BACKEND: source } = loadSettings(env, {
    roles: [],
    cwd,
    generateSecrets: false,
    besides: ['CARACAL_SECRET_BACKEND'],
  })
  const { code, message } = refuse(source, target)
  if (switches.has('json')) out.line(JSON.stringify({ ok: false, error: code, message }))
  else out.status('fail', message)
  return 1
}

function refuse(source: SecretBackend, target: string): Refusal {
  const kind = secretBackends.find((one) => one === target)
  if (kind === undefined)
    return {
      code: 'unknown_backend',
      message: `unknown secret backend ${JSON.stringify(target.slice(0, 64))}: ${secretBackends.join(', ')}`,
    }
  if (kind === source)
    return { code: 'same_backend', message: `secrets are kept in ${kind} already (CARACAL_SECRET_BACKEND)` }
  const missing = source === 'builtin' ? kind : source
  return { code: 'secret_backend_unavailable', message: missingBackend(missing) }
}
