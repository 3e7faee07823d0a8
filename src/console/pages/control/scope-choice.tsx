/** Which scopes: a line for each kind of thing, and what may be done with it. */
import { Button } from '../../ui/basics.tsx'
import { byNoun, partsOf } from './key.ts'

interface ScopeChoiceProps {
  readonly legend: string
  readonly offered: readonly string[]
  readonly chosen: ReadonlySet<string>
  readonly onChange: (chosen: ReadonlySet<string>) => void
}

export function ScopeChoice({ legend, offered, chosen, onChange }: ScopeChoiceProps) {
  const toggle = (scope: string) => {
    const next = new Set(chosen)
    if (!next.delete(scope)) next.add(scope)
    onChange(next)
  }
  const reading = offered.filter((scope) => partsOf(scope)[1] === 'read')
  return (
    <fieldset class="scopes">
      <legend>{legend}</legend>
      {offered.length > 1 && (
        <div class="actions">
          {reading.length > 0 && (
            <Button kind="link" onClick={() => onChange(new Set(reading))}>
              Reading only
            </Button>
          )}
          <Button kind="link" onClick={() => onChange(new Set(offered))}>
            Everything
          </Button>
          <Button kind="link" onClick={() => onChange(new Set())}>
            Nothing
          </Button>
        </div>
      )}
      {[...byNoun(offered)].map(([noun, scopes]) => (
        <div key={noun} class="scope-line">
          <code>{noun}</code>
          {scopes.map((scope) => (
            <label key={scope} class={`check ${partsOf(scope)[1]}`} title={scope}>
              <input
                type="checkbox"
                aria-label={scope}
                checked={chosen.has(scope)}
                onChange={() => toggle(scope)}
              />
              <span>{partsOf(scope)[1]}</span>
            </label>
          ))}
        </div>
      ))}
    </fieldset>
  )
}
