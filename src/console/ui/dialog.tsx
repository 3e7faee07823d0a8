/** What asks for an answer before the page goes on. */
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Button, Failure } from './basics.tsx'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  /** At the side, for something long. */
  readonly side?: boolean
  readonly children: ComponentChildren
}

export function Dialog({ title, onClose, side = false, children }: DialogProps) {
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
  return (
    <dialog
      ref={box}
      class={side ? 'dialog side' : 'dialog'}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <header class="card-head">
        <h2>{title}</h2>
        <Button kind="link" onClick={onClose} title="Close">
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
  readonly danger?: boolean
  readonly onConfirm: () => Promise<unknown>
  readonly onClose: () => void
}

/** Asks before something that cannot be taken back; stays open with the reason when it fails. */
export function Confirm({ title, children, action, danger = true, onConfirm, onClose }: ConfirmProps) {
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
        <Button onClick={onClose}>Cancel</Button>
        <Button kind={danger ? 'danger' : 'primary'} disabled={busy} onClick={confirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  )
}
