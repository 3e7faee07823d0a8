import { counted } from '../../ui/format.ts'
import { PlatformLimit } from './platform-limit.tsx'

interface Retention {
  readonly retention_days: number
  readonly max_days: number
  readonly updated_by: string | null
  readonly updated_at: string | null
}

const days = (value: number) => counted(value, 'day')

export function AuditRetention() {
  return (
    <PlatformLimit<Retention>
      title="Audit retention"
      about="How long audit events are kept, in every zone. Older ones are deleted, a month at a time."
      path="/v1/audit-retention"
      resource="audit-retention"
      label="Days to keep audit events"
      say={days}
      variable="AUDIT_RETENTION_DAYS"
      read={({ retention_days, max_days, ...by }) => ({ value: retention_days, ceiling: max_days, ...by })}
      write={(retention_days) => ({ retention_days })}
      lowering={(value) =>
        `Audit events of every zone that are older than ${days(value)} are deleted soon. They do not come back.`
      }
    />
  )
}
