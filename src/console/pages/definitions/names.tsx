/** How a defined thing is named in a table, what it carries, and the way back from its page. */
import type { ComponentChildren } from 'preact'
import { Link } from '../../router.tsx'
import { Badge } from '../../ui/basics.tsx'

export function Named({ name, under }: { readonly name: string; readonly under?: string }) {
  return (
    <>
      <strong>{name}</strong>
      {under !== undefined && under !== name && (
        <div>
          <code class="faint">{under}</code>
        </div>
      )}
    </>
  )
}

interface BackProps {
  readonly to: string
  readonly title: string
  readonly children?: ComponentChildren
}

/** For the lead of a page: where it belongs, and what it shows. */
export function Back({ to, title, children }: BackProps) {
  return (
    <>
      <Link to={to}>← {title}</Link>
      {children !== undefined && <> · {children}</>}
    </>
  )
}

export function Badges({ of }: { readonly of: readonly string[] }) {
  return (
    <span class="actions">
      {of.map((text) => (
        <Badge key={text}>{text}</Badge>
      ))}
    </span>
  )
}
