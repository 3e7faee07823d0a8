/** Which credentials a workload's environment gets, and which names it must never set (control-api §7.6). */
import { errorOf } from '../../platform/http/errors/registry.ts'
import type { WorkloadBinding } from './store/workloads.ts'

/** Variables that make a child process load foreign code. */
const dangerous: ReadonlySet<string> = new Set([
  'NODE_OPTIONS',
  'BUN_OPTIONS',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'DYLD_LIBRARY_PATH',
])

export interface BindingInput {
  readonly env: string
  readonly resource: string
  readonly scopes: readonly string[]
  readonly optional: boolean
  readonly on_failure: 'warn' | 'error'
}

/** The stored form. Throws 400 `invalid_credential_env` or `duplicate_credential_env` with the name in `details.env`. */
export function normalizeBindings(bindings: readonly BindingInput[]): WorkloadBinding[] {
  const seen = new Set<string>()
  return bindings.map((binding) => {
    const { env } = binding
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(env) || dangerous.has(env.toUpperCase())) {
      throw errorOf('invalid_credential_env', { body: { details: { env } } })
    }
    if (seen.has(env)) throw errorOf('duplicate_credential_env', { body: { details: { env } } })
    seen.add(env)
    return {
      env,
      resource: binding.resource,
      ...(binding.scopes.length > 0 ? { scopes: binding.scopes } : {}),
      ...(binding.optional ? { optional: true as const, on_failure: binding.on_failure } : {}),
    }
  })
}
