/** Writing a policy document: it is checked on demand, and always before it is saved. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Button, Failure } from '../../ui/basics.tsx'
import { Form, type Values } from '../../ui/form.tsx'
import { type Checked, checkDocument } from './check-document.ts'
import { DocumentField } from './document-field.tsx'

interface DocumentEditorProps {
  readonly content: string
  readonly onInput: (content: string) => void
  readonly action: string
  /** Saves a document that was found valid. */
  readonly onSave: (values: Values) => Promise<unknown>
  readonly onCancel: () => void
  /** Fields above the document. */
  readonly children?: ComponentChildren
}

export function DocumentEditor(props: DocumentEditorProps) {
  const { content, onInput, action, onSave, onCancel, children } = props
  const [judged, setJudged] = useState<{ readonly content: string; readonly checked: Checked }>()
  const [failure, setFailure] = useState<Error>()
  const check = async (): Promise<Checked> => {
    const checked = await checkDocument(content)
    setJudged({ content, checked })
    return checked
  }
  const checkOnly = () => {
    setFailure(undefined)
    check().catch(setFailure)
  }
  const save = async (values: Values) => {
    setFailure(undefined)
    const { valid } = await check()
    if (valid) await onSave(values)
  }
  return (
    <Form action={action} onSubmit={save} onCancel={onCancel}>
      {children}
      <DocumentField
        label="Document"
        value={content}
        onInput={onInput}
        checked={judged?.content === content ? judged.checked : undefined}
      />
      {failure !== undefined && <Failure error={failure} />}
      <Button onClick={checkOnly}>Check</Button>
    </Form>
  )
}
