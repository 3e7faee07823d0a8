/** Which fields a change touched: names, never values (audit-and-events §8.1). */

import type { Logger } from 'pino'
import { isJsonObject } from '../json.ts'
import { actionSegment, type EntityRules } from './entity.ts'

const secretFields: ReadonlySet<string> = new Set([
  'client_secret',
  'secret',
  'password',
  'token',
  'private_key',
  'api_key',
  'assertion',
  'bearer_token',
  'access_token',
  'refresh_token',
  // Ours: the members of a change of password.
  'current_password',
  'new_password',
])
const deepest = 3
const mostFields = 64
/** Names come from the caller; a longer one is no field of ours. */
const longestName = 256

export interface ChangeSummary {
  readonly change_kind: 'create' | 'update' | 'delete' | 'action' | 'secret_rotation'
  readonly changed_fields?: readonly string[]
  readonly secret_rotated?: true
}

interface Walk {
  readonly fields: string[]
  secretSeen: boolean
}

function walk(value: Record<string, unknown>, prefix: string, depth: number, found: Walk): void {
  for (const [name, member] of Object.entries(value)) {
    if (secretFields.has(name.toLowerCase())) {
      found.secretSeen = true
      continue
    }
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (path.length > longestName) continue
    const before = found.fields.length
    if (isJsonObject(member) && depth < deepest) walk(member, path, depth + 1, found)
    else if (isJsonObject(member)) noteSecrets(member, found)
    if (found.fields.length === before) found.fields.push(path)
  }
}

function noteSecrets(value: Record<string, unknown>, found: Walk): void {
  for (const [name, member] of Object.entries(value)) {
    if (secretFields.has(name.toLowerCase())) found.secretSeen = true
    else if (isJsonObject(member)) noteSecrets(member, found)
  }
}

export interface Change {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

/** The summary for a record, which must be written even when what was sent cannot be summed up. */
export function summaryForRecord(change: Change, rules: EntityRules, log: Logger): ChangeSummary | null {
  try {
    return changeSummary(change, rules)
  } catch (error) {
    log.warn({ err: error, method: change.method, path: change.path }, 'admin_audit_summary_failed')
    return null
  }
}

/** The summary of a successful change; `null` for an update that touches no recordable field. */
export function changeSummary(change: Change, rules: EntityRules): ChangeSummary | null {
  const found: Walk = { fields: [], secretSeen: false }
  if (isJsonObject(change.body)) walk(change.body, '', 1, found)
  const verb = actionSegment(change.path, rules)
  const rotates = /\/rotate(-secret)?$/.test(change.path)
  const rotated = found.secretSeen || rotates
  const fields = found.fields.sort().slice(0, mostFields)
  const members = {
    ...(fields.length > 0 ? { changed_fields: fields } : {}),
    ...(rotated ? { secret_rotated: true as const } : {}),
  }
  if (change.method === 'DELETE') return { change_kind: 'delete', ...members }
  if (verb !== null || rotates) return { change_kind: rotated ? 'secret_rotation' : 'action', ...members }
  if (change.method === 'POST') return { change_kind: 'create', ...members }
  if (fields.length === 0 && !rotated) return null
  return { change_kind: rotated ? 'secret_rotation' : 'update', ...members }
}
