import { iso } from './session-view.ts'
import type { ServiceRow } from './store/services.ts'

/** An agent service as every answer shows it (coordinator §6). */
export const serviceView = (row: ServiceRow): Record<string, unknown> => ({
  ...row,
  last_heartbeat_at: iso(row.last_heartbeat_at),
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
})
