/** Begins to connect an account: makes the address where its owner agrees. */
import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { Button, Snippet, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'

interface Begun {
  readonly authorization_url: string
  readonly expires_at: string
}

interface ConnectProps {
  /** Of the zone's connections. */
  readonly path: string
  readonly providerId: string
  readonly onClose: () => void
}

export function ConnectAccount({ path, providerId, onClose }: ConnectProps) {
  const [begun, setBegun] = useState<Begun>()
  return (
    <Dialog title="Connect an account" onClose={onClose}>
      {begun === undefined ? (
        <Form
          action="Make the address"
          onCancel={onClose}
          onSubmit={async (values) => {
            const subject = values.optional('subject_id')
            const body = {
              provider_id: providerId,
              ...(subject === undefined ? {} : { subject_id: subject }),
            }
            setBegun(await api.post<Begun>(`${path}/oauth/authorize`, body))
          }}
        >
          <TextField
            name="subject_id"
            label="Whose account"
            hint="The subject id of a person. Left empty, the whole zone shares the account."
            autoFocus
          />
        </Form>
      ) : (
        <>
          <p>
            The owner of the account opens this address and agrees there. It works once and expires{' '}
            <Time at={begun.expires_at} />.
          </p>
          <Snippet text={begun.authorization_url} />
          <div class="form-end">
            <Button kind="primary" onClick={onClose}>
              Done
            </Button>
          </div>
        </>
      )}
    </Dialog>
  )
}
