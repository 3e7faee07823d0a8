import type { ComponentChildren } from 'preact'
import { Link } from '../../router.tsx'
import type { Overview } from './overview.ts'

interface FiguresProps {
  readonly overview: Overview
  readonly pendingApprovals: number
  readonly liveSessions: string
  /** The zone's own address. */
  readonly home: string
}

export function Figures({ overview, pendingApprovals, liveSessions, home }: FiguresProps) {
  const { applications, resources, providers, policy_sets: sets, decisions_24h: decisions } = overview
  const expiring = applications.expired + applications.expiring_soon
  const shown: readonly Figure[] = [
    { name: 'Allowed, last 24 h', count: decisions.allowed, to: 'audit?decision=allow&time=day' },
    { name: 'Denied, last 24 h', count: decisions.denied, to: 'audit?decision=deny&time=day' },
    { name: 'Active sessions', count: liveSessions, to: 'sessions' },
    { name: 'Active authority records', count: overview.sessions.active, to: 'sessions?tab=records' },
    { name: 'Pending approvals', count: pendingApprovals, to: 'approvals' },
    {
      name: 'Applications',
      count: applications.total,
      to: 'applications',
      ...(expiring > 0 && { remark: `${expiring} expired or expiring` }),
    },
    {
      name: 'Resources',
      count: resources.total,
      to: 'resources',
      ...(resources.unenforced > 0 && { remark: `${resources.unenforced} not enforced` }),
    },
    { name: 'Providers', count: providers.total, to: 'providers' },
    { name: 'Policy sets', count: sets.total, to: 'policies?tab=sets' },
  ]
  return (
    <div class="grid">
      {shown.map(({ name, count, to, remark }) => (
        <section class="card" key={name}>
          <div class="figure">{typeof count === 'number' ? count.toLocaleString('en') : count}</div>
          <Link to={`${home}/${to}`}>{name}</Link>
          {remark !== undefined && <div class="hint">{remark}</div>}
        </section>
      ))}
    </div>
  )
}

interface Figure {
  readonly name: string
  readonly count: number | string
  readonly to: string
  readonly remark?: ComponentChildren
}
