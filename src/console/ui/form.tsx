/** Forms: plain fields, read when they are sent. */
import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Button, Failure } from './basics.tsx'
import { forgetEntered, watchForm } from './entered.ts'

export interface Values {
  /** Trimmed; empty when there is no such field. */
  text(name: string): string
  /** Trimmed, or undefined when empty. */
  optional(name: string): string | undefined
  /** As typed: for secrets and documents. */
  raw(name: string): string
  checked(name: string): boolean
  /** All chosen values of fields of one name. */
  all(name: string): string[]
  /** Undefined when empty. Throws when it is not a number. */
  number(name: string): number | undefined
}

function valuesOf(form: HTMLFormElement): Values {
  const data = new FormData(form)
  const raw = (name: string): string => {
    const value = data.get(name)
    return typeof value === 'string' ? value : ''
  }
  const text = (name: string) => raw(name).trim()
  return {
    raw,
    text,
    optional: (name) => text(name) || undefined,
    checked: (name) => data.has(name),
    all: (name) => data.getAll(name).filter((value) => typeof value === 'string'),
    number(name) {
      if (text(name) === '') return undefined
      const value = Number(text(name))
      if (Number.isNaN(value)) throw new Error(`${name} must be a number`)
      return value
    },
  }
}

interface FormProps {
  /** The verb on the button. */
  readonly action: string
  readonly onSubmit: (values: Values) => Promise<unknown>
  readonly onCancel?: () => void
  /** It takes something away. */
  readonly danger?: boolean
  readonly children: ComponentChildren
}

/** Shows the refusal of the server below the fields and keeps what was typed. */
export function Form({ action, onSubmit, onCancel, danger = false, children }: FormProps) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error>()
  const box = useRef<HTMLFormElement>(null)
  useLayoutEffect(() => (box.current === null ? undefined : watchForm(box.current)), [])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    setBusy(true)
    setError(undefined)
    try {
      await onSubmit(valuesOf(form))
      forgetEntered(form)
    } catch (thrown) {
      setError(thrown as Error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form ref={box} onSubmit={(event) => void submit(event)}>
      {children}
      {error !== undefined && <Failure error={error} />}
      <div class="form-end">
        {onCancel !== undefined && <Button onClick={onCancel}>Cancel</Button>}
        <Button kind={danger ? 'danger' : 'primary'} type="submit" disabled={busy}>
          {action}
        </Button>
      </div>
    </form>
  )
}

interface FieldProps {
  readonly name: string
  readonly label: string
  readonly hint?: ComponentChildren
  readonly value?: string | undefined
  readonly required?: boolean
  readonly placeholder?: string
}

interface LabelledProps extends Pick<FieldProps, 'label' | 'hint'> {
  /** The control; it carries the id it is given. */
  readonly children: (id: string) => ComponentChildren
}

function Labelled({ label, hint, children }: LabelledProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint !== undefined && <span class="hint">{hint}</span>}
    </div>
  )
}

interface TextFieldProps extends FieldProps {
  readonly type?: 'text' | 'password' | 'email' | 'url' | 'number'
  readonly onInput?: (value: string) => void
  readonly autoFocus?: boolean
  readonly autoComplete?: string
  /** Of a number. */
  readonly min?: number
  readonly max?: number
}

export function TextField({
  label,
  hint,
  type = 'text',
  onInput,
  autoFocus,
  autoComplete = 'off',
  ...rest
}: TextFieldProps) {
  return (
    <Labelled label={label} hint={hint}>
      {(id) => (
        <input
          id={id}
          type={type as 'text'}
          autocomplete={autoComplete}
          autofocus={autoFocus ?? false}
          spellcheck={false}
          {...(onInput === undefined
            ? {}
            : { onInput: (event: InputEvent) => onInput((event.currentTarget as HTMLInputElement).value) })}
          {...given(rest)}
        />
      )}
    </Labelled>
  )
}

export function TextArea({
  label,
  hint,
  rows = 4,
  onInput,
  ...rest
}: FieldProps & { readonly rows?: number; readonly onInput?: (value: string) => void }) {
  return (
    <Labelled label={label} hint={hint}>
      {(id) => (
        <textarea
          id={id}
          rows={rows}
          spellcheck={false}
          {...(onInput === undefined
            ? {}
            : {
                onInput: (event: InputEvent) => onInput((event.currentTarget as HTMLTextAreaElement).value),
              })}
          {...given(rest)}
        />
      )}
    </Labelled>
  )
}

export interface Choice {
  readonly value: string
  readonly label: string
}

interface SelectProps extends FieldProps {
  readonly choices: readonly Choice[]
  readonly onInput?: (value: string) => void
}

export function Select({ label, hint, choices, value, onInput, ...rest }: SelectProps) {
  return (
    <Labelled label={label} hint={hint}>
      {(id) => (
        <select
          id={id}
          {...(onInput === undefined
            ? {}
            : { onInput: (event: InputEvent) => onInput((event.currentTarget as HTMLSelectElement).value) })}
          {...given(rest)}
        >
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value} selected={choice.value === value}>
              {choice.label}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  )
}

interface CheckProps {
  readonly name: string
  readonly label: ComponentChildren
  readonly checked?: boolean
  /** What the form holds under `name` when it is checked. */
  readonly value?: string
}

export function Check({ name, label, checked = false, value = 'on' }: CheckProps) {
  return (
    <label class="check">
      <input type="checkbox" name={name} value={value} defaultChecked={checked} />
      <span>{label}</span>
    </label>
  )
}

/** Attributes without the undefined ones. A start value, so that drawing again keeps what was typed. */
function given({ value, ...rest }: Omit<FieldProps, 'label' | 'hint'>) {
  const attributes = Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== undefined))
  return { ...attributes, name: rest.name, ...(value === undefined ? {} : { defaultValue: value }) }
}
