import { api } from '../../api.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextArea, TextField } from '../../ui/form.tsx'
import { words } from '../../ui/format.ts'
import type { Application } from '../definitions/shapes.ts'

interface EditProps {
  readonly path: string
  readonly application: Application
  readonly onSaved: () => void
  readonly onClose: () => void
}

export function EditApplication({ path, application, onSaved, onClose }: EditProps) {
  const { traits, registration_method } = application
  // Applications that registered themselves carry none.
  const withTraits = traits !== undefined && registration_method === 'managed'
  return (
    <Dialog title="Edit application" onClose={onClose}>
      <Form
        action="Save"
        onCancel={onClose}
        onSubmit={async (values) => {
          const wanted = words(values.text('traits'))
          const changed = withTraits && wanted.join(' ') !== traits.join(' ')
          await api.patch(path, { name: values.text('name'), ...(changed ? { traits: wanted } : {}) })
          onSaved()
          onClose()
        }}
      >
        <TextField name="name" label="Name" value={application.name} required />
        {withTraits && (
          <TextArea
            name="traits"
            label="Traits"
            rows={3}
            value={traits.join('\n')}
            hint={
              <>
                Labels, one a line. Those that begin with <code>control:</code> let the application manage
                this server; leave them out if you do not mean that.
              </>
            }
          />
        )}
      </Form>
    </Dialog>
  )
}
