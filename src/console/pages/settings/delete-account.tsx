import { ApiError, api } from '../../api.ts'
import { navigate } from '../../router.tsx'
import { useSurroundings } from '../../state/session.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField, type Values } from '../../ui/form.tsx'
import { EndingZones, type OwnAccount } from './ending-zones.tsx'

interface DeleteAccountProps {
  readonly account: OwnAccount
  readonly onClose: () => void
  /** Its zones are others by now. */
  readonly onRefused: () => void
}

/** Asks for the address and the password: nobody deletes an account by a wrong click or at an unlocked screen. */
export function DeleteAccount({ account, onClose, onRefused }: DeleteAccountProps) {
  const { leave } = useSurroundings()
  const { email, has_password, zones } = account
  const remove = async (values: Values) => {
    try {
      await api.remove('/auth/account', {
        email: values.text('email'),
        ...(has_password ? { password: values.raw('password') } : {}),
        zones: zones.map(({ id }) => id),
      })
    } catch (error) {
      if (error instanceof ApiError && error.code === 'owned_zones_changed') onRefused()
      throw error
    }
    navigate('/', { replace: true })
    leave('Your account is deleted.')
  }
  return (
    <Dialog title="Delete your account?" onClose={onClose}>
      <EndingZones zones={zones} />
      <p>Neither the account nor its zones come back.</p>
      <Form action="Delete account" danger onSubmit={remove} onCancel={onClose}>
        <TextField name="email" label="Type your e-mail address" placeholder={email} required autoFocus />
        {has_password && (
          <TextField
            name="password"
            label="Password"
            type="password"
            autoComplete="current-password"
            required
          />
        )}
      </Form>
    </Dialog>
  )
}
