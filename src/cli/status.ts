import { parseRoles } from '../config/load.ts'
import type { RoleName } from '../config/roles.ts'
import type { Invocation } from './command.ts'
import { probe } from './probe.ts'
import { localAddress, serverAddress } from './server-address.ts'

const services: readonly { readonly name: string; readonly role: RoleName; readonly variable: string }[] = [
  { name: 'api', role: 'control', variable: 'CARACAL_API_URL' },
  { name: 'sts', role: 'sts', variable: 'CARACAL_STS_URL' },
  { name: 'gateway', role: 'gateway', variable: 'CARACAL_GATEWAY_URL' },
  { name: 'audit', role: 'audit', variable: 'CARACAL_AUDIT_URL' },
  { name: 'coordinator', role: 'coordinator', variable: 'CARACAL_COORDINATOR_URL' },
]

const probeTimeoutMs = 1500

interface Probed {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly ok: boolean
  readonly detail: string
}

/** Probes every role's health or readiness in parallel; 0 when all pass (sdk-cli-console §12.7). */
export async function status({ arguments: parsed, env, out }: Invocation): Promise<number> {
  const mode = parsed.switches.has('ready') ? 'ready' : 'health'
  const wanted = new Set(parseRoles(parsed.values.role ?? 'all'))
  const probed = await Promise.all(
    services
      .filter(({ role }) => wanted.has(role))
      .map(({ name, role, variable }) => {
        const url = `${serverAddress(env, variable, localAddress(role, env))}/${mode}`
        return look(name, url, !env[variable])
      }),
  )
  if (parsed.switches.has('json')) out.line(JSON.stringify({ mode, services: probed }, null, 2))
  else
    for (const one of probed)
      out.line(
        `${out.mark(one.ok ? 'ok' : 'fail')} ${one.name.padEnd(12)} ${one.url.padEnd(34)} ${one.detail}`,
      )
  return probed.every((one) => one.ok) ? 0 : 1
}

async function look(name: string, url: string, isLocal: boolean): Promise<Probed> {
  const { port, protocol } = new URL(url)
  const facts = { name, port: Number(port) || (protocol === 'https:' ? 443 : 80), url }
  try {
    const { status, text } = await probe(url, { timeoutMs: probeTimeoutMs, anyCertificate: isLocal })
    if (status >= 200 && status < 300) return { ...facts, ok: true, detail: String(status) }
    return { ...facts, ok: false, detail: `${status} ${reasonOf(text)}`.trimEnd() }
  } catch (error) {
    const late = (error as Error).name === 'TimeoutError'
    return { ...facts, ok: false, detail: late ? 'timeout' : 'unreachable' }
  }
}

/** The first telling member of a JSON body, else its first line. */
function reasonOf(text: string): string {
  try {
    const body = JSON.parse(text) as Record<string, unknown>
    const reason = ['reason', 'error', 'detail']
      .map((key) => body[key])
      .find((value) => typeof value === 'string')
    if (typeof reason === 'string') return reason.slice(0, 120)
  } catch {
    // Not JSON: the text itself has to do.
  }
  return (text.split('\n')[0] ?? '').slice(0, 120)
}
