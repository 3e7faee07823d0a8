/** The rows of an operations editor: method, path, and the scope a call needs. */
import { Button } from '../../ui/basics.tsx'
import type { Operation } from '../definitions/shapes.ts'

/** An operation being written; `key` tells rows apart while they are. */
export interface Draft extends Operation {
  readonly key: number
}

export const draftsOf = (operations: readonly Operation[]): readonly Draft[] =>
  operations.map((operation, key) => ({ ...operation, key }))

export const operationsOf = (drafts: readonly Draft[]): readonly Operation[] =>
  drafts.map(({ method, path, scope }) => ({ method, path, scope }))

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']

interface OperationsProps {
  readonly drafts: readonly Draft[]
  readonly scopes: readonly string[]
  readonly enforced: boolean
  readonly onChange: (drafts: readonly Draft[]) => void
}

export function Operations({ drafts, scopes, enforced, onChange }: OperationsProps) {
  const change = (key: number, to: Partial<Operation>) =>
    onChange(drafts.map((draft) => (draft.key === key ? { ...draft, ...to } : draft)))
  const add = () =>
    onChange([
      ...drafts,
      {
        key: Math.max(-1, ...drafts.map(({ key }) => key)) + 1,
        method: 'GET',
        path: '/',
        scope: scopes[0] ?? '',
      },
    ])
  return (
    <fieldset>
      <legend>Operations</legend>
      {drafts.length > 0 && (
        <div class="table-frame">
          <table>
            <thead>
              <tr>
                <th scope="col">Method</th>
                <th scope="col">Path</th>
                <th scope="col">Scope</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {drafts.map((draft, index) => (
                <Row
                  key={draft.key}
                  draft={draft}
                  place={index + 1}
                  scopes={scopes}
                  onChange={(to) => change(draft.key, to)}
                  onRemove={() => onChange(drafts.filter(({ key }) => key !== draft.key))}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Button onClick={add} disabled={scopes.length === 0}>
        Add an operation
      </Button>
      <p class="hint">
        {enforced
          ? 'Calls to other methods or paths are refused. Paths are compared as they are, without query.'
          : 'Kept, but not enforced as long as any method and path is let through.'}
      </p>
    </fieldset>
  )
}

interface RowProps {
  readonly draft: Draft
  readonly place: number
  readonly scopes: readonly string[]
  readonly onChange: (to: Partial<Operation>) => void
  readonly onRemove: () => void
}

function Row({ draft, place, scopes, onChange, onRemove }: RowProps) {
  const { method, path, scope } = draft
  return (
    <tr>
      <td>
        <Choose
          label={`Method of operation ${place}`}
          value={method}
          from={methods}
          onChange={(value) => onChange({ method: value })}
        />
      </td>
      <td>
        <input
          aria-label={`Path of operation ${place}`}
          value={path}
          spellcheck={false}
          required
          pattern="/.*"
          title="A path begins with /"
          onInput={(event) => onChange({ path: event.currentTarget.value })}
        />
      </td>
      <td>
        <Choose
          label={`Scope of operation ${place}`}
          value={scope}
          from={scopes}
          onChange={(value) => onChange({ scope: value })}
        />
      </td>
      <td>
        <button
          type="button"
          class="button plain"
          aria-label={`Remove operation ${place}`}
          onClick={onRemove}
        >
          ✕
        </button>
      </td>
    </tr>
  )
}

interface ChooseProps {
  readonly label: string
  readonly value: string
  readonly from: readonly string[]
  readonly onChange: (value: string) => void
}

/** A value that is not offered stays chosen, so that nothing changes unseen. */
function Choose({ label, value, from, onChange }: ChooseProps) {
  const offered = from.includes(value) ? from : [value, ...from]
  return (
    <select aria-label={label} value={value} onInput={(event) => onChange(event.currentTarget.value)}>
      {offered.map((one) => (
        <option key={one} value={one}>
          {one}
        </option>
      ))}
    </select>
  )
}
