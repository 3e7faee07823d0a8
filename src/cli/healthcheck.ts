import { parseRoles, rolePort } from '../config/load.ts'
import type { Invocation } from './command.ts'

/** Container probe: 0 when every role of this process answers with 2xx or 3xx (storage-and-operations §11). */
export async function healthcheck({ env, out }: Invocation): Promise<number> {
  const host = env.HEALTH_HOST || '127.0.0.1'
  const path = env.HEALTH_PATH || '/ready'
  const timeoutMs = Number(env.HEALTH_TIMEOUT_MS) || 2000
  const roles = parseRoles(env.CARACAL_ROLE || 'all')
  // Without CARACAL_ROLE the role may be an option of `serve`, unknown here: a PORT is then meant for it.
  // Where several roles are named, `serve` ignores PORT.
  const single = env.CARACAL_SINGLE_PORT || (env.CARACAL_ROLE ? undefined : env.PORT)
  const ports = single ? [single] : roles.map((role) => rolePort(env, role, roles))
  const scheme =
    env.TLS_CERT_FILE && (single ? roles.includes('gateway') : roles.length === 1 && roles[0] === 'gateway')
      ? 'https'
      : 'http'
  const answers = await Promise.all(
    ports.map((port) => answersWell(`${scheme}://${host}:${port}${path}`, timeoutMs)),
  )
  const failed = ports.filter((_, index) => answers[index] !== true)
  if (failed.length === 0) return 0
  out.errorLine(`not ready: ${failed.map((port) => `port ${port}`).join(', ')}`)
  return 1
}

async function answersWell(url: string, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' })
    await response.body?.cancel()
    return response.status >= 200 && response.status < 400
  } catch {
    return false
  }
}
