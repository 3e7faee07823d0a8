/** Where programs reach the roles, for the variables that the console shows (sdk-cli-console §1 and §3.2). */
import type { Context } from 'hono'
import { headerOf } from '../../../platform/http/incoming.ts'
import type { Control } from '../control.ts'

interface ServerUrls {
  readonly sts: string
  readonly coordinator: string
  readonly gateway: string
}

const onThisMachine: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** As settled for clients; what is only known as this machine, by the name that the browser has for it. */
export function serverUrls(c: Context, { settings }: Pick<Control, 'settings'>): ServerUrls | null {
  const { ISSUER_URL, STS_URL, CARACAL_COORDINATOR_URL: coordinator, CARACAL_GATEWAY_URL: gateway } = settings
  const sts = ISSUER_URL ?? STS_URL
  if (sts === null || coordinator === null || gateway === null) return null
  const host = `http://${headerOf(c, 'host') ?? 'localhost'}`
  const hostname = URL.canParse(host) ? new URL(host).hostname : 'localhost'
  const seen = (address: string): string => {
    const url = new URL(address)
    if (!onThisMachine.has(url.hostname) || onThisMachine.has(hostname)) return address
    url.hostname = hostname
    return url.href.replace(/\/$/, '')
  }
  return { sts: seen(sts), coordinator: seen(coordinator), gateway: seen(gateway) }
}
