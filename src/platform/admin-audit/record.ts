/**
 * One administrative action as it is hashed (audit-and-events §8.2). The payload enters the
 * hash as Postgres writes it (`jsonb::text`), so the record can be verified from the
 * table alone.
 */
import { createHmac, hash } from 'node:crypto'
import { storableOrNull, storableText } from '../db/storable-text.ts'

export interface AdminActor {
  readonly id: string
  readonly name: string
  readonly scope: string
}

export interface AdminAction {
  readonly requestId: string
  readonly actor: AdminActor | null
  /** `<METHOD> <path without query>`, or a sentence for an explicit row. */
  readonly action: string
  readonly method: string
  readonly path: string
  readonly zoneId: string | null
  readonly entityType: string | null
  readonly entityId: string | null
  readonly statusCode: number
  readonly payload: Readonly<Record<string, unknown>> | null
}

/** A record with everything the server decides. */
export interface SealedAdminAction extends AdminAction {
  readonly id: string
  /** ISO 8601, UTC, milliseconds. */
  readonly occurredAt: string
  /** `payload::jsonb::text`, `null` without a payload. */
  readonly payloadText: string | null
}

const separator = '\x1f'

function storableValue(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value)
  if (Array.isArray(value)) return value.map(storableValue)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [storableText(key), storableValue(member)]),
  )
}

/** The action as it can be stored and therefore must be hashed. */
export function storableAction(action: AdminAction): AdminAction {
  return {
    requestId: storableText(action.requestId),
    actor: action.actor && {
      id: storableText(action.actor.id),
      name: storableText(action.actor.name),
      scope: storableText(action.actor.scope),
    },
    action: storableText(action.action),
    method: storableText(action.method),
    path: storableText(action.path),
    zoneId: storableOrNull(action.zoneId),
    entityType: storableOrNull(action.entityType),
    entityId: storableOrNull(action.entityId),
    statusCode: action.statusCode,
    payload: action.payload && (storableValue(action.payload) as Record<string, unknown>),
  }
}

/** `content_sha256`: fourteen fields, each followed by 0x1F, the last one too; null is empty. */
export function adminContentSha256(record: SealedAdminAction): string {
  const fields = [
    record.id,
    record.requestId,
    record.actor?.id,
    record.actor?.name,
    record.actor?.scope,
    record.action,
    record.method,
    record.path,
    record.zoneId,
    record.entityType,
    record.entityId,
    String(record.statusCode),
    record.payloadText,
    record.occurredAt,
  ]
  return hash('sha256', fields.map((field) => `${field ?? ''}${separator}`).join(''), 'hex')
}

/** `chain_hmac` over a link and its predecessor; `null` without a key. */
export function adminChainHmac(
  key: Uint8Array | null,
  content: string,
  previous: string | null,
): string | null {
  if (key === null) return null
  return createHmac('sha256', key)
    .update(`${content}|${previous ?? ''}`)
    .digest('hex')
}
