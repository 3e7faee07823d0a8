import { type Environment, parseRoles, rolePort } from '../config/load.ts'
import type { Invocation } from './command.ts'
import { probe } from './probe.ts'
import { schemeOf } from './server-address.ts'

type Standing = 'ready' | 'not ready' | 'nobody listens'

/** Container probe: 0 when every role of this process answers with 2xx or 3xx (storage-and-operations §11). */
export async function healthcheck({ env, out }: Invocation): Promise<number> {
  const host = env.HEALTH_HOST || '127.0.0.1'
  const path = env.HEALTH_PATH || '/ready'
  const timeoutMs = Number(env.HEALTH_TIMEOUT_MS) || 2000
  const found = await Promise.all(
    listenersOf(env).map(async ({ scheme, port }) => {
      return { port, standing: await standingOf(`${scheme}://${host}:${port}${path}`, timeoutMs) }
    }),
  )
  // Without CARACAL_ROLE the roles may be an option of `serve`, unknown here: those that listen are they.
  const listening = found.filter(({ standing }) => standing !== 'nobody listens')
  const own = env.CARACAL_ROLE || listening.length === 0 ? found : listening
  const failed = own.filter(({ standing }) => standing !== 'ready')
  if (failed.length === 0) return 0
  out.errorLine(`not ready: ${failed.map(({ port }) => `port ${port}`).join(', ')}`)
  return 1
}

function listenersOf(env: Environment): { readonly scheme: string; readonly port: string | number }[] {
  const roles = parseRoles(env.CARACAL_ROLE || 'all')
  // A PORT without CARACAL_ROLE is meant for the only role; where several roles are named, `serve` ignores it.
  const single = env.CARACAL_SINGLE_PORT || (env.CARACAL_ROLE ? undefined : env.PORT)
  if (single) return [{ scheme: schemeOf(roles, env), port: single }]
  return roles.map((role) => ({ scheme: schemeOf([role], env), port: rolePort(env, role, roles) }))
}

async function standingOf(url: string, timeoutMs: number): Promise<Standing> {
  try {
    const { status } = await probe(url, { timeoutMs, anyCertificate: true })
    return status >= 200 && status < 400 ? 'ready' : 'not ready'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'nobody listens' : 'not ready'
  }
}
