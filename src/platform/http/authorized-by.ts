/** Whose name a change carries when a caller that is believed says so (control-api §3.7). */
import type { Context } from 'hono'
import { headerOf } from './incoming.ts'

export const AUTHORIZED_BY = 'x-caracal-authorized-by'

const namePattern = /^[\p{L}\p{N} @._+:'-]{1,256}$/u
/** What a header can carry as it is. */
const ascii = /^[ -~]+$/

/** A value for the header: `id`, with the name that people know it by where that can be sent. */
export function nameOf(id: string, name: string): string {
  const both = `${id} ${name}`
  return namePattern.test(both) && ascii.test(both) ? both : id
}

/** `null` without the header, or when its value is no name. Whether to believe it is the caller's to know. */
export function authorizedBy(c: Context): string | null {
  const name = headerOf(c, AUTHORIZED_BY)
  return name !== undefined && namePattern.test(name) ? name : null
}
