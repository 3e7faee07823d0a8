import { Notice, Snippet } from '../../ui/basics.tsx'

/** On the screen now and never again: the server tells it to nobody. */
export function SigningSecret({ value }: { readonly value: string }) {
  return (
    <Notice tone="warn">
      <p>
        <strong>Signing secret</strong>. Copy it now, it is shown only this once. The receiver checks with it
        that what it gets comes from here.
      </p>
      <Snippet text={value} />
    </Notice>
  )
}
