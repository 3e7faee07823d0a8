/** How a defined thing is named in a table, and what it carries. */
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

export function Badges({ of }: { readonly of: readonly string[] }) {
  return (
    <span class="actions">
      {of.map((text) => (
        <Badge key={text}>{text}</Badge>
      ))}
    </span>
  )
}
