/** The zone at a glance, and what in it needs somebody. */
import { counted } from '../../ui/format.ts'
import type { AuditEvent } from '../audit/event.ts'

export interface Overview {
  readonly generated_at: string
  readonly applications: { readonly total: number; readonly expired: number; readonly expiring_soon: number }
  readonly resources: { readonly total: number; readonly unenforced: number }
  readonly providers: { readonly total: number }
  readonly policy_sets: {
    readonly total: number
    readonly enforcing: number
    readonly active_name: string | null
  }
  /** Authority records that are active. */
  readonly sessions: { readonly active: number }
  readonly decisions_24h: { readonly allowed: number; readonly denied: number }
  readonly recent_events: readonly AuditEvent[]
}

export interface Attention {
  readonly tone: 'bad' | 'warn'
  readonly sentence: string
  /** What the link says, and the page of the zone that it leads to. */
  readonly action: string
  readonly page: string
}

export function attentionOf(overview: Overview, pendingApprovals: number): Attention[] {
  const { applications, resources, policy_sets: sets } = overview
  const found: (Attention | false)[] = [
    sets.enforcing === 0 && {
      tone: 'bad',
      sentence: 'No policy set is active, so nothing is allowed in this zone.',
      action: sets.total === 0 ? 'Write a policy' : 'Activate a policy set',
      page: sets.total === 0 ? 'policies' : 'policies?tab=sets',
    },
    pendingApprovals > 0 && {
      tone: 'warn',
      sentence: `${counted(pendingApprovals, 'request waits', 'requests wait')} for an approval.`,
      action: 'Decide',
      page: 'approvals',
    },
    applications.expired > 0 && {
      tone: 'bad',
      sentence: `${counted(applications.expired, 'application has', 'applications have')} expired and can no longer get mandates.`,
      action: 'See applications',
      page: 'applications',
    },
    applications.expiring_soon > 0 && {
      tone: 'warn',
      sentence: `${counted(applications.expiring_soon, 'application expires', 'applications expire')} within 7 days.`,
      action: 'See applications',
      page: 'applications',
    },
    resources.unenforced > 0 && {
      tone: 'warn',
      sentence: `${counted(resources.unenforced, 'resource does', 'resources do')} not enforce operations: each scope opens the whole upstream.`,
      action: 'See resources',
      page: 'resources',
    },
  ]
  return found.filter((one) => one !== false)
}

export const isEmpty = ({ applications, resources, policy_sets: sets }: Overview): boolean =>
  applications.total === 0 && resources.total === 0 && sets.total === 0
