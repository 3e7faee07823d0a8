/** Which sockets the roles of a process want. */
import type { Settings } from '../config/env.ts'
import type { RoleName } from '../platform/role.ts'
import { readCertificate } from './certificate.ts'
import type { ListenerOptions } from './listener.ts'

export type ListenerName = RoleName | 'console'

export interface ListenerPlan extends Pick<ListenerOptions, 'host' | 'port' | 'portVariable' | 'tls'> {
  readonly name: ListenerName | typeof shared
  readonly role: RoleName
}

/** The listener of all roles of the process. */
export const shared = 'single-port'

/** Listeners in the order in which they open: sts, control, coordinator, audit, gateway. */
export function planListeners(settings: Settings, roles: readonly RoleName[]): ListenerPlan[] {
  const { HOST: host, CARACAL_SINGLE_PORT: port } = settings
  const [first] = roles
  if (port !== null && first !== undefined) {
    const plan = { name: shared, role: first, host, port, portVariable: 'CARACAL_SINGLE_PORT' } as const
    return [roles.includes('gateway') ? { ...plan, ...gatewayTls(settings) } : plan]
  }
  return roles.flatMap((role): ListenerPlan[] => {
    const portVariable = `${role.toUpperCase() as Uppercase<RoleName>}_PORT` as const
    const own: ListenerPlan = { name: role, role, host, port: settings[portVariable], portVariable }
    if (role === 'gateway') return [{ ...own, ...gatewayTls(settings) }]
    if (role !== 'control') return [own]
    return [own, { name: 'console', role, host, port: settings.CONSOLE_PORT, portVariable: 'CONSOLE_PORT' }]
  })
}

function gatewayTls(settings: Settings): Pick<ListenerOptions, 'tls'> {
  const certificate = readCertificate(settings)
  return certificate === null ? {} : { tls: certificate }
}
