/** A part of a page with a secret that whoever may can look at. */
import type { ComponentChildren } from 'preact'
import { Button, Failure, Secret, Section } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
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
  /** Makes a new one and answers it. */
  readonly rotate: () => Promise<string>
  readonly secret: HeldSecret
  readonly onRotated: () => void
  readonly onClose: () => void
  /** What stops working. */
  readonly children: ComponentChildren
}

export function RotateSecret({ rotate, secret, onRotated, onClose, children }: RotateSecretProps) {
  return (
    <Confirm
      title="Rotate the secret"
      action="Rotate"
      onClose={onClose}
      onConfirm={async () => {
        secret.put(await rotate())
        onRotated()
      }}
    >
      {children}
    </Confirm>
  )
}
