/** Audit retention and the mint limit: operators may lower them, never raise them over the configured ceiling (control-api §7.2, §7.3). */
import type { CaracalError } from '../../../platform/errors.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import { type Control, reading, writing } from '../control.ts'
import { type Call, can, ok, route } from '../route.ts'
import {
  readMintLimit,
  readRetention,
  type StoredLimit,
  writeMintLimit,
  writeRetention,
} from '../store/limits.ts'
import { named, timestamp } from './shapes.ts'

const positive = v.pipe(v.number(), v.integer(), v.minValue(1))
const changed = { updated_by: v.nullable(v.string()), updated_at: v.nullable(timestamp) }

const retention = named(
  'AuditRetention',
  v.object({ retention_days: v.number(), max_days: v.number(), ...changed }),
)
const mintLimit = named(
  'MintRateLimit',
  v.object({ limit_per_minute: v.number(), max_per_minute: v.number(), ...changed }),
)

function shown(stored: StoredLimit | null, max: number) {
  return {
    value: Math.min(stored?.value ?? max, max),
    updated_by: stored?.updated_by ?? null,
    updated_at: stored?.updated_at ?? null,
  }
}

type AnyCall = Call<unknown, unknown>

async function currentRetention(control: Control, call: AnyCall) {
  const max = control.settings.AUDIT_RETENTION_DAYS
  const { value, ...by } = shown(await reading(control, call, readRetention), max)
  return { retention_days: value, max_days: max, ...by }
}

async function currentMintLimit(control: Control, call: AnyCall) {
  const max = control.settings.STS_MINT_RATE_LIMIT_PER_MIN
  const { value, ...by } = shown(await reading(control, call, readMintLimit), max)
  return { limit_per_minute: value, max_per_minute: max, ...by }
}

const above = (code: 'retention_above_limit' | 'rate_limit_above_ceiling', body: object): CaracalError =>
  errorOf(code, { body: { ...body } })

const tag = 'Platform settings'

export const limitRoutes = [
  route({
    method: 'GET',
    path: '/v1/audit-retention',
    operationId: 'getAuditRetention',
    tag,
    summary: 'Read how long audit events are kept',
    access: 'read',
    permission: can('platform', 'audit-retention', 'get'),
    priority: 'P1',
    responses: { 200: retention },
    errors: [],
    handle: async (control, call) => ok(await currentRetention(control, call)),
  }),
  route({
    method: 'PUT',
    path: '/v1/audit-retention',
    operationId: 'setAuditRetention',
    tag,
    summary: 'Set how long audit events are kept',
    access: 'write',
    permission: can('platform', 'audit-retention', 'update'),
    priority: 'P1',
    body: v.strictObject({ retention_days: positive }),
    responses: { 200: retention },
    errors: ['invalid_body', 'retention_above_limit'],
    handle: async (control, call) => {
      const max = control.settings.AUDIT_RETENTION_DAYS
      const { retention_days: days } = call.body
      if (days > max) throw above('retention_above_limit', { max_days: max })
      await writing(control, call, (tx) => writeRetention(tx, days, call.attribution.by))
      return ok(await currentRetention(control, call))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/mint-rate-limit',
    operationId: 'getMintRateLimit',
    tag,
    summary: 'Read the mint limit of the STS',
    access: 'read',
    permission: can('platform', 'mint-rate-limit', 'get'),
    priority: 'P1',
    responses: { 200: mintLimit },
    errors: [],
    handle: async (control, call) => ok(await currentMintLimit(control, call)),
  }),
  route({
    method: 'PUT',
    path: '/v1/mint-rate-limit',
    operationId: 'setMintRateLimit',
    tag,
    summary: 'Set the mint limit of the STS',
    access: 'write',
    permission: can('platform', 'mint-rate-limit', 'update'),
    priority: 'P1',
    body: v.strictObject({ limit_per_minute: positive }),
    responses: { 200: mintLimit },
    errors: ['invalid_body', 'rate_limit_above_ceiling'],
    handle: async (control, call) => {
      const max = control.settings.STS_MINT_RATE_LIMIT_PER_MIN
      const { limit_per_minute: limit } = call.body
      if (limit > max) throw above('rate_limit_above_ceiling', { max_per_minute: max })
      await writing(control, call, (tx) => writeMintLimit(tx, limit, call.attribution.by))
      return ok(await currentMintLimit(control, call))
    },
  }),
]
