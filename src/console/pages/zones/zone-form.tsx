import { api } from '../../api.ts'
import { useSurroundings, type Zone } from '../../state/session.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField, type Values } from '../../ui/form.tsx'

export function CreateZone({ onClose }: { readonly onClose: () => void }) {
  const { reloadZones } = useSurroundings()
  const create = async (values: Values) => {
    await api.post('/v1/zones', { name: values.text('name'), slug: values.optional('slug') })
    reloadZones()
    onClose()
  }
  return (
    <Dialog title="New zone" onClose={onClose}>
      <p class="hint">It begins empty and denies everything.</p>
      <Form action="Create zone" onSubmit={create} onCancel={onClose}>
        <TextField name="name" label="Name" required autoFocus placeholder="Production" />
        <SlugField />
      </Form>
    </Dialog>
  )
}

interface EditZoneProps {
  readonly zone: Zone
  readonly onClose: () => void
}

export function EditZone({ zone, onClose }: EditZoneProps) {
  const { reloadZones } = useSurroundings()
  const save = async (values: Values) => {
    await api.patch(`/v1/zones/${zone.id}`, { name: values.text('name'), slug: values.optional('slug') })
    reloadZones()
    onClose()
  }
  return (
    <Dialog title={`Edit “${zone.name}”`} onClose={onClose}>
      <Form action="Save" onSubmit={save} onCancel={onClose}>
        <TextField name="name" label="Name" value={zone.name} required autoFocus />
        <SlugField value={zone.slug} />
      </Form>
    </Dialog>
  )
}

function SlugField({ value }: { readonly value?: string | undefined }) {
  return (
    <TextField
      name="slug"
      label="Slug"
      value={value}
      hint={
        value === undefined
          ? 'Small letters, digits and dashes; made from the name when empty.'
          : 'Small letters, digits and dashes.'
      }
    />
  )
}
