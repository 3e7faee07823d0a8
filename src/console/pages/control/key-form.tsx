/** The fields of a key, new or not. */
import { useState } from 'preact/hooks'
import { Async } from '../../ui/basics.tsx'
import { TimeField } from '../../ui/filters.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import { useCatalog } from './endpoint-state.ts'
import type { KeyRights } from './key.ts'
import { ScopeChoice } from './scope-choice.tsx'

export interface KeyDraft extends KeyRights {
  readonly name: string
}

interface KeyFormProps {
  readonly action: string
  readonly draft?: KeyDraft
  readonly onSubmit: (draft: KeyDraft) => Promise<unknown>
  readonly onClose: () => void
}

export function KeyForm({ action, draft, onSubmit, onClose }: KeyFormProps) {
  const catalog = useCatalog()
  const [scopes, setScopes] = useState<ReadonlySet<string>>(() => new Set(draft?.scopes))
  return (
    <Async of={catalog}>
      {(known) => (
        <Form
          action={action}
          onCancel={onClose}
          onSubmit={async (values) => {
            if (scopes.size === 0) throw new Error('Choose at least one scope.')
            await onSubmit({
              name: values.text('name'),
              scopes: known.scopes.filter((scope) => scopes.has(scope)),
              maxTtl: lifeOf(values.text('max_ttl')),
              expires: instantOf(values.text('expires'), draft?.expires ?? null),
            })
          }}
        >
          <TextField
            name="name"
            label="Name"
            value={draft?.name}
            placeholder="deploy-pipeline"
            hint="What people call the program that holds the key."
            autoFocus
            required
          />
          <ScopeChoice
            legend="What it may do in this zone"
            offered={known.scopes}
            chosen={scopes}
            onChange={setScopes}
          />
          <TextField
            name="max_ttl"
            label="Longest life of a token, in seconds (optional)"
            value={draft?.maxTtl?.toString()}
            placeholder={String(longest)}
            hint={`From ${shortest} to ${longest}. A token is for one call, so a minute is mostly enough.`}
          />
          <TimeField name="expires" label="Expires (optional)" value={localOf(draft?.expires ?? null)} />
        </Form>
      )}
    </Async>
  )
}

const shortest = 60
const longest = 900

function lifeOf(text: string): number | null {
  if (text === '') return null
  const seconds = Number(text)
  if (Number.isInteger(seconds) && seconds >= shortest && seconds <= longest) return seconds
  throw new Error(`The longest life of a token is a number of seconds from ${shortest} to ${longest}.`)
}

/** An instant as the browser's field has it: local, to the minute. */
function localOf(instant: string | null): string {
  const date = new Date(instant ?? '')
  if (Number.isNaN(date.getTime())) return ''
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** What the field says, as an instant; one that was not touched stays to the second. */
function instantOf(local: string, before: string | null): string | null {
  if (local === '') return null
  if (local === localOf(before)) return before
  return new Date(local).toISOString()
}
