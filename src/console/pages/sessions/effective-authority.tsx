/** What the live delegations to a session add up to. */
import { api, inCoordinator } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Facts, Section, Time } from '../../ui/basics.tsx'
import { liveMs } from '../../ui/feed.tsx'
import type { Session } from './shapes.ts'

interface Authority {
  readonly inbound_edges: readonly string[]
  readonly effective_scopes: readonly string[]
  readonly effective_resources: readonly string[]
  readonly effective_max_hops: number
  readonly effective_ttl_seconds: number | null
  readonly earliest_expires_at: string | null
}

interface EffectiveAuthorityProps {
  readonly zoneId: string
  readonly session: Session
}

export function EffectiveAuthority({ zoneId, session }: EffectiveAuthorityProps) {
  const path = inCoordinator(zoneId, `/agents/${encodeURIComponent(session.id)}/effective-authority`)
  const found = useData(path, (signal) => api.get<Authority>(path, signal), { refreshMs: liveMs })
  return (
    <Section title="Effective authority">
      <Async of={found}>
        {(authority) =>
          authority.inbound_edges.length === 0 ? (
            <p class="faint">None: there is no live delegation to this session.</p>
          ) : (
            <>
              {session.status !== 'active' && (
                <p class="faint">The session is {session.status}, so it cannot use it.</p>
              )}
              <Facts
                of={{
                  Scopes: authority.effective_scopes.join(', '),
                  Resources: authority.effective_resources.join(', ') || 'those that the scopes belong to',
                  'May be delegated on': `${authority.effective_max_hops} deep`,
                  'Mandates live at most':
                    authority.effective_ttl_seconds === null
                      ? undefined
                      : `${authority.effective_ttl_seconds} s`,
                  'First of it expires': <Time at={authority.earliest_expires_at} />,
                }}
              />
            </>
          )
        }
      </Async>
    </Section>
  )
}
