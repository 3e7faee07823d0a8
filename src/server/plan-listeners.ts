/** Which sockets the roles of a process want. */
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Settings } from '../config/env.ts'
import { ConfigError } from '../config/load.ts'
import type { RoleName } from '../platform/role.ts'
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
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings
  if (certFile === null || keyFile === null) return {}
  const cert = read('TLS_CERT_FILE', certFile)
  const key = read('TLS_KEY_FILE', keyFile)
  // One after the other, since a context of both does not say which of them it could not use.
  assertUsable({ cert }, `TLS_CERT_FILE: ${certFile} holds no certificate that can be used`)
  assertUsable({ key }, `TLS_KEY_FILE: ${keyFile} holds no key that can be used`)
  assertUsable({ cert, key }, `TLS_KEY_FILE: ${keyFile} is not the key of TLS_CERT_FILE, ${certFile}`)
  return { tls: { cert, key } }
}

function read(variable: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ConfigError([`${variable}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`])
  }
}

function assertUsable(options: SecureContextOptions, problem: string): void {
  try {
    createSecureContext(options)
  } catch (error) {
    const { reason, code } = error as { reason?: string; code?: string }
    throw new ConfigError([`${problem} (${reason ?? code})`])
  }
}
