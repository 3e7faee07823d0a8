/** Addresses of servers: as variables give them, else on this host. */
import { type Environment, parseRoles, rolePort } from '../config/load.ts'
import type { RoleName } from '../config/roles.ts'

/** The URL in a variable, or the fallback; without the slashes at its end. Throws a sentence that names the variable. */
export function serverAddress(env: Environment, variable: string, fallback: string): string {
  const text = (env[variable] || fallback).replace(/\/+$/, '')
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text))
    throw new Error(`${variable} must be a URL that begins with http:// or https://`)
  return text
}

/**
 * Where a role of the server on this host listens. Behind one port each role answers for the whole
 * process; the gateway for itself, below its prefix.
 */
export function localAddress(role: RoleName, env: Environment): string {
  const { CARACAL_SINGLE_PORT: single } = env
  const roles = parseRoles(env.CARACAL_ROLE || 'all')
  if (single) return `${schemeOf(roles, env)}://localhost:${single}${role === 'gateway' ? '/gateway' : ''}`
  return `${schemeOf([role], env)}://localhost:${rolePort(env, role, roles)}`
}

/** What a listener of these roles speaks: TLS is of the gateway's. */
export function schemeOf(roles: readonly RoleName[], env: Environment): 'http' | 'https' {
  return env.TLS_CERT_FILE && roles.includes('gateway') ? 'https' : 'http'
}
