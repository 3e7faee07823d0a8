/** The text of a policy document, with line numbers; the line of a fault is marked. */
import { useId, useRef } from 'preact/hooks'
import { Button, Notice } from '../../ui/basics.tsx'
import type { Checked } from './check-document.ts'

interface DocumentFieldProps {
  readonly label: string
  readonly value: string
  /** Without it the text is only shown. */
  readonly onInput?: (value: string) => void
  readonly checked?: Checked | undefined
}

export function DocumentField({ label, value, onInput, checked }: DocumentFieldProps) {
  const id = useId()
  const numbers = useRef<HTMLOListElement>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  const lines = value.split('\n')
  const showFault = (line: number, column: number) => {
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1
    area.current?.focus()
    area.current?.setSelectionRange(start, start)
  }
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="document">
        <ol ref={numbers} aria-hidden="true">
          {lines.map((_, index) => (
            <li key={index} class={checked?.line === index + 1 ? 'fault' : ''} />
          ))}
        </ol>
        <textarea
          ref={area}
          id={id}
          wrap="off"
          rows={Math.min(Math.max(lines.length + 1, 8), 28)}
          spellcheck={false}
          autocapitalize="off"
          readOnly={onInput === undefined}
          aria-invalid={checked !== undefined && !checked.valid}
          value={value}
          onInput={(event) => onInput?.(event.currentTarget.value)}
          onScroll={(event) => {
            if (numbers.current !== null) numbers.current.scrollTop = event.currentTarget.scrollTop
          }}
        />
      </div>
      {checked !== undefined && <Verdict of={checked} onShow={showFault} />}
    </div>
  )
}

interface VerdictProps {
  readonly of: Checked
  readonly onShow: (line: number, column: number) => void
}

function Verdict({ of: { valid, remarks, rules, line, column }, onShow }: VerdictProps) {
  const tone = valid ? (remarks.length === 0 ? 'ok' : 'warn') : 'bad'
  return (
    <Notice tone={tone}>
      {valid && (
        <p>
          Valid. It defines <code>{rules.join(', ')}</code>.
        </p>
      )}
      {remarks.map((remark) => (
        <p key={remark}>{remark}</p>
      ))}
      {line !== null && (
        <Button kind="link" onClick={() => onShow(line, column ?? 1)}>
          Show the place
        </Button>
      )}
    </Notice>
  )
}
