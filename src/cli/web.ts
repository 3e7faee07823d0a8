/** `caracal web`: where a person looks at the server (sdk-cli-console §12.2). */
import { spawn } from 'node:child_process'
import type { Environment } from '../config/load.ts'
import type { Invocation } from './command.ts'
import { localAddress, serverAddress } from './server-address.ts'

const patienceMs = 3000
const ignored = ['web-port', 'auth-port', 'build'] as const

export async function web({ arguments: given, env, out }: Invocation): Promise<number> {
  for (const name of ignored)
    if (given.values[name] !== undefined || given.switches.has(name))
      out.status('warn', `--${name} is ignored: the server that runs serves the pages too`)
  const api = serverAddress(env, 'CARACAL_API_URL', localAddress('control', env))
  const pages = [
    { what: 'console', url: `${serverAddress(env, 'CARACAL_WEB_URL', api)}/console` },
    { what: 'reference of the API', url: `${api}/docs` },
    { what: 'description of the API', url: `${api}/openapi.json` },
  ]
  for (const { what, url } of pages) {
    const status = await statusOf(url)
    if (status === null) continue
    if (status === 0) {
      out.status('fail', `no server answers at ${url}: caracal up starts one`)
      return 1
    }
    out.status('info', `${what}:`)
    out.line(url)
    if (process.stdout.isTTY && !env.CI) openInBrowser(url, env)
    return 0
  }
  out.status('fail', `${api} answers, but not as a Caracal server: look at CARACAL_API_URL`)
  return 1
}

/** `null`: there is no such page; 0: nobody answers. */
async function statusOf(url: string): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) })
    await response.body?.cancel()
    return response.ok ? response.status : null
  } catch {
    return 0
  }
}

/** Best effort: the address is on the screen already. */
function openInBrowser(url: string, env: Environment): void {
  const [program, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', url]
        : ['xdg-open', url]
  if (program === undefined) return
  spawn(program, args, { env, stdio: 'ignore', detached: true })
    .once('error', () => undefined)
    .unref()
}
