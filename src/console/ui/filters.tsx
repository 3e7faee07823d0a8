/** Fields above a list. What is chosen stands in the address, so that a view can be linked to. */
import type { ComponentChildren } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { navigate, usePlace } from '../router.tsx'
import { Button } from './basics.tsx'
import type { Choice } from './form.tsx'

/** Applies a choice at once and typed text when its field is left or Enter is pressed. */
export function Filters({ children }: { readonly children: ComponentChildren }) {
  const { path, query } = usePlace()
  const form = useRef<HTMLFormElement>(null)
  const [round, setRound] = useState(0)
  const fields = (): [string, string][] =>
    form.current === null
      ? []
      : [...new FormData(form.current)].map(([name, value]) => [name, String(value).trim()])
  const show = (entries: readonly (readonly [string, string])[]) => {
    const next = new URLSearchParams(query)
    for (const [name, value] of entries) {
      if (value === '') next.delete(name)
      else next.set(name, value)
    }
    const search = next.toString()
    navigate(search === '' ? path : `${path}?${search}`, { replace: true })
  }
  const clear = () => {
    show(fields().map(([name]) => [name, '']))
    setRound(round + 1)
  }
  return (
    <form
      ref={form}
      key={round}
      class="filters"
      onChange={() => show(fields())}
      onSubmit={(event) => {
        event.preventDefault()
        show(fields())
      }}
    >
      {children}
      <Button kind="link" onClick={clear}>
        Clear
      </Button>
    </form>
  )
}

/** What the address says for a choice; empty when it is none of the list's own, as after a change of tabs. */
export function chosen(query: URLSearchParams, name: string, choices: readonly Choice[]): string {
  const wanted = query.get(name) ?? ''
  return choices.some(({ value }) => value === wanted) ? wanted : ''
}

interface TimeFieldProps {
  readonly name: string
  readonly label: string
  /** As the browser writes it: local time, `2026-01-31T09:30`. */
  readonly value: string
}

export function TimeField({ name, label, value }: TimeFieldProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} type="datetime-local" name={name} defaultValue={value} />
    </div>
  )
}
