/**
 * The reserved namespace (control-api §3.5): only the bootstrap actor may name
 * things in it. Comparison is after trim and lower case, so no spelling slips by.
 */
import { CaracalError } from '../../platform/errors.ts'
import type { Principal } from './principal.ts'

const prefixes = {
  zone_slug: 'caracal-sys-',
  zone_name: 'caracal.sys/',
  application_name: 'caracal.sys/',
  policy_name: 'caracal.sys/',
  resource_identifier: 'caracal-sys://',
  provider_identifier: 'provider://caracal-sys-',
} as const

type ReservedField = keyof typeof prefixes

function isReserved(field: ReservedField, value: string): boolean {
  return value.trim().toLowerCase().startsWith(prefixes[field])
}

/** Throws 409 `reserved_namespace` unless the principal is the bootstrap token. */
export function refuseReserved(principal: Principal, field: ReservedField, value: string | undefined): void {
  if (value === undefined || principal.bootstrap || !isReserved(field, value)) return
  throw new CaracalError('reserved_namespace', {
    status: 409,
    message: 'this name is in a namespace reserved for the platform',
  })
}

export function isReservedZone(zone: { readonly name: string; readonly slug: string }): boolean {
  return isReserved('zone_name', zone.name) || isReserved('zone_slug', zone.slug)
}
