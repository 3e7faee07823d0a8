import { Link } from '../../router.tsx'
import { Badge, Section } from '../../ui/basics.tsx'
import type { Attention } from './overview.ts'

interface AttentionsProps {
  readonly of: readonly Attention[]
  /** The zone's own address. */
  readonly home: string
}

export function Attentions({ of, home }: AttentionsProps) {
  if (of.length === 0) return null
  return (
    <Section title="Requires attention">
      <ul class="steps">
        {of.map(({ tone, sentence, action, page }) => (
          <li key={sentence}>
            <span>
              <Badge tone={tone}>{tone === 'bad' ? 'urgent' : 'to do'}</Badge>
            </span>
            <span>
              {sentence} <Link to={`${home}/${page}`}>{action}</Link>
            </span>
          </li>
        ))}
      </ul>
    </Section>
  )
}
