/** What asks for an answer before the page goes on. */
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Button, Failure } from './basics.tsx'
import { leaving } from './entered.ts'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  /** At the side, for something long. */
  readonly side?: boolean
  /** Hides the page below. */
  readonly opaque?: boolean
  readonly children: ComponentChildren
}

export function Dialog({ title, onClose, side = false, opaque = false, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null)
  // Closed while it is still in the page: only then the focus goes back to where it was.
  useLayoutEffect(() => {
    const dialog = box.current
    if (dialog !== null && !dialog.open) {
      dialog.showModal()
      // By itself the first button has the focus, which closes.
      dialog.querySelector<HTMLElement>('.dialog-body :is(input, select, textarea, button)')?.focus()
    }
    return () => dialog?.close()
  }, [])
  const leave = () => {
    // What hides the page below takes it along.
    const lost = opaque ? document.body : box.current
    if (lost !== null) leaving(lost, onClose)
  }
  return (
    <dialog
      ref={box}
      class={`dialog${side ? ' side' : ''}${opaque ? ' opaque' : ''}`}
      aria-label={title}
      // Before the browser takes it for its own: of several in a row it lets none but the first be refused.
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || event.isComposing || event.defaultPrevented) return
        event.preventDefault()
        leave()
      }}
      onCancel={(event) => {
        event.preventDefault()
        leave()
      }}
    >
      <header class="card-head">
        <h2>{title}</h2>
        <Button kind="link" onClick={leave} title="Close">
          ✕
        </Button>
      </header>
      <div class="dialog-body">{children}</div>
    </dialog>
  )
}

interface ConfirmProps {
  readonly title: string
  readonly children: ComponentChildren
  /** The verb on the button. */
  readonly action: string
  /** What the other button says. */
  readonly refuse?: string
  readonly danger?: boolean
  readonly onConfirm: () => Promise<unknown>
  readonly onClose: () => void
}

/** Asks before something that cannot be taken back; stays open with the reason when it fails. */
export function Confirm({
  title,
  children,
  action,
  refuse = 'Cancel',
  danger = true,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error>()
  const confirm = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await onConfirm()
      onClose()
    } catch (thrown) {
      setError(thrown as Error)
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {error !== undefined && <Failure error={error} />}
      <div class="form-end">
        <Button onClick={onClose}>{refuse}</Button>
        <Button kind={danger ? 'danger' : 'primary'} disabled={busy} onClick={confirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  )
}

interface DialogButtonProps {
  readonly label: string
  readonly kind?: 'primary' | 'plain' | 'danger'
  readonly children: (close: () => void) => ComponentChildren
}

/** A button with the dialog that it opens. Where the button goes away, what it asks does too. */
export function DialogButton({ label, kind = 'plain', children }: DialogButtonProps) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button kind={kind} onClick={() => setOpen(true)}>
        {label}
      </Button>
      {open && children(() => setOpen(false))}
    </>
  )
}

type Question = Omit<ConfirmProps, 'onClose'>

interface ConfirmButtonProps extends Omit<Question, 'danger'> {
  /** What the button says that asks; the verb unless given. */
  readonly label?: string
  readonly kind?: 'plain' | 'danger'
}

/** A button that asks before it does something that cannot be taken back. */
export function ConfirmButton({ label, kind = 'danger', ...question }: ConfirmButtonProps) {
  return (
    <DialogButton label={label ?? question.action} kind={kind}>
      {(close) => <Confirm {...question} onClose={close} />}
    </DialogButton>
  )
}

interface SwitchButtonProps {
  readonly isOn: boolean
  readonly on: Question
  readonly off: Question
  readonly kind?: 'primary' | 'plain'
}

/** A button that asks for the other state. Its question stays as asked, though somebody else may turn it meanwhile. */
export function SwitchButton({ isOn, on, off, kind = 'plain' }: SwitchButtonProps) {
  const [asked, setAsked] = useState<'on' | 'off'>()
  const question = asked === 'on' ? on : off
  return (
    <>
      <Button kind={kind} onClick={() => setAsked(isOn ? 'off' : 'on')}>
        {isOn ? off.action : on.action}
      </Button>
      {asked !== undefined && <Confirm {...question} onClose={() => setAsked(undefined)} />}
    </>
  )
}
