/** A part of a page with a secret that whoever may can look at. */
import type { ComponentChildren } from 'preact'
import { Button, Failure, Secret, Section } from '../../ui/basics.tsx'
import { ConfirmButton } from '../../ui/dialog.tsx'
import type { HeldSecret } from './use-secret.ts'

interface SecretSectionProps {
  readonly title: string
  /** What the secret is called. */
  readonly name: string
  readonly secret: HeldSecret
  readonly mayReveal: boolean
  readonly children: ComponentChildren
}

export function SecretSection({ title, name, secret, mayReveal, children }: SecretSectionProps) {
  return (
    <Section title={title} actions={mayReveal && <RevealButton secret={secret} />}>
      {secret.error !== undefined && <Failure error={secret.error} />}
      {secret.value !== undefined && <Secret name={name} value={secret.value} />}
      {children}
      {mayReveal && <p class="hint">Revealing the secret is written to the audit.</p>}
    </Section>
  )
}

export function RevealButton({ secret }: { readonly secret: HeldSecret }) {
  return secret.value === undefined ? (
    <Button onClick={secret.show}>Reveal secret</Button>
  ) : (
    <Button onClick={secret.hide}>Hide secret</Button>
  )
}

interface RotateSecretProps {
  readonly secret: HeldSecret
  readonly onRotated: () => void
  /** What stops working. */
  readonly children: ComponentChildren
}

export function RotateSecret({ secret, onRotated, children }: RotateSecretProps) {
  return (
    <ConfirmButton
      kind="plain"
      label="Rotate secret"
      title="Rotate the secret"
      action="Rotate"
      onConfirm={async () => {
        await secret.rotate()
        onRotated()
      }}
    >
      {children}
    </ConfirmButton>
  )
}
