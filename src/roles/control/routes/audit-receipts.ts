/** Receipts of audit events and the keys that sign them (docs/audit-receipts.md). */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import type { AuditReceipts } from '../../audit/index.ts'
import type { Control } from '../control.ts'
import { found } from '../not-found.ts'
import { rotateAuditKey } from '../rotate-audit-key.ts'
import { can, created, ok, route } from '../route.ts'
import { anyJson, named } from './shapes.ts'

const path = '/v1/zones/{zoneId}/audit'
const tag = 'Audit'

/** Receipts need the zone's sealed key: without a KEK there are none. */
function receiptsOf(control: Control): AuditReceipts {
  if (control.receipts === null) throw errorOf('config_missing', { detail: 'SECRET_STORE_KEK is not set' })
  return control.receipts
}

export const auditReceiptRoutes = [
  route({
    method: 'GET',
    path: `${path}/keys`,
    operationId: 'getAuditKeys',
    tag,
    summary: 'Key set that signs the receipts of a zone',
    access: 'read',
    permission: can('audit', 'events', 'get'),
    priority: 'P1',
    responses: { 200: named('AuditKeySet', v.object({ keys: v.array(anyJson) })) },
    errors: [],
    handle: async (control, { zoneId }) => ok({ keys: await receiptsOf(control).keySet(zoneId) }),
  }),
  route({
    method: 'POST',
    path: `${path}/keys`,
    operationId: 'rotateAuditKey',
    tag,
    summary: 'Give a zone a new key for its receipts; earlier ones stay in the key set',
    access: 'write',
    // Reading evidence is not managing its keys: not in the group `audit`.
    permission: can('core', 'audit-keys', 'rotate'),
    priority: 'P1',
    needsLiveZone: true,
    responses: { 201: named('AuditKey', anyJson) },
    errors: [],
    handle: async (control, call) => created(await rotateAuditKey(control, receiptsOf(control), call)),
  }),
  route({
    method: 'GET',
    path: `${path}/{id}/receipt`,
    operationId: 'getAuditReceipt',
    tag,
    summary: 'Signed proof that an event is in the ledger',
    access: 'read',
    // A receipt carries the event unredacted.
    permission: can('audit', 'events', 'export'),
    priority: 'P1',
    responses: { 200: named('AuditReceipt', anyJson) },
    errors: ['resource_not_found'],
    handle: async (control, { zoneId, id }) => {
      const body = found(await receiptsOf(control).receipt(zoneId, id), 'resource_not_found')
      // Byte for byte as it was signed.
      return { status: 200, body, contentType: 'application/json' }
    },
  }),
]
