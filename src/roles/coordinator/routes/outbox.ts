/** Recovery of events that could not be published (audit-and-events §10.3). */
import { parseWith } from '../../../platform/http/validate.ts'
import * as v from '../../../platform/schema.ts'
import { isAdmin } from '../caller.ts'
import type { CoordinatorContext } from '../deps.ts'
import { refuse } from '../refusal.ts'
import { id } from '../schemas/parts.ts'
import { requeueDead } from '../store/outbox.ts'
import type { Declare } from '../surface.ts'

const uuids = v.object({ zoneId: v.pipe(v.string(), v.uuid()), id: v.pipe(v.string(), v.uuid()) })

export function outboxRoutes(declare: Declare, { db }: CoordinatorContext): void {
  declare({
    methods: ['POST'],
    path: '/zones/{zoneId}/outbox/{id}/requeue',
    operationId: 'requeueOutboxRow',
    summary: 'Publish a dead event again',
    responses: { 200: v.object({ id, status: v.literal('pending') }) },
    errors: ['coordinator_admin_required', 'invalid_body', 'dead_outbox_not_found'],
    async handle({ c, caller, params }) {
      if (!isAdmin(caller)) throw refuse('coordinator_admin_required')
      const row = parseWith(uuids, params, 'invalid_body')
      if (!(await requeueDead(db, row.zoneId, row.id))) throw refuse('dead_outbox_not_found')
      return c.json({ id: row.id, status: 'pending' })
    },
  })
}
