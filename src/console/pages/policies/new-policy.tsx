import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Page, Section } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Select, TextField, type Values } from '../../ui/form.tsx'
import { DocumentEditor } from './document-editor.tsx'

interface Template {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly content: string
}

const empty = '# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\n'

export function NewPolicy({ zone }: { readonly zone: Zone }) {
  const templates = useData('templates', (signal) => api.list<Template>('/v1/policy-templates', signal))
  const [start, setStart] = useState(empty)
  const [content, setContent] = useState(empty)
  const [wanted, setWanted] = useState<string>()
  const [template, setTemplate] = useState<Template>()
  const begin = (text: string) => {
    setStart(text)
    setContent(text)
  }
  const choose = (id: string) => {
    const chosen = templates.value?.find((one) => one.id === id)
    setTemplate(chosen)
    const text = chosen?.content ?? empty
    if (content === start) begin(text)
    else setWanted(text)
  }
  const save = async (values: Values) => {
    const policy = await api.post<{ readonly id: string }>(inZone(zone.id, '/policies'), {
      name: values.text('name'),
      description: values.optional('description'),
      content,
    })
    navigate(`/zones/${zone.id}/policies/${policy.id}`)
  }
  return (
    <Page
      title="New policy"
      lead="A document of data: who may hold which scopes of which resource. What it does not grant is denied."
    >
      <Section>
        <DocumentEditor
          content={content}
          onInput={setContent}
          action="Create policy"
          onSave={save}
          onCancel={() => navigate(`/zones/${zone.id}/policies`)}
        >
          <TextField name="name" label="Name" required autoFocus placeholder="inventory" />
          <TextField name="description" label="Description" />
          {templates.value !== undefined && (
            <Select
              name="template"
              label="Start from"
              onInput={choose}
              hint={template?.description}
              choices={[
                { value: '', label: 'An empty document' },
                ...templates.value.map(({ id, name }) => ({ value: id, label: name })),
              ]}
            />
          )}
        </DocumentEditor>
      </Section>
      {wanted !== undefined && (
        <Confirm
          title="Replace your text?"
          action="Replace"
          onConfirm={async () => begin(wanted)}
          onClose={() => setWanted(undefined)}
        >
          <p>The template takes the place of what you wrote. That text is not stored anywhere.</p>
        </Confirm>
      )}
    </Page>
  )
}
