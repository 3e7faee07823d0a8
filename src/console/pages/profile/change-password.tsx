import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { Notice, Section } from '../../ui/basics.tsx'
import { Form, TextField, type Values } from '../../ui/form.tsx'

export function ChangePassword({ email }: { readonly email: string }) {
  const [changes, setChanges] = useState(0)
  const change = async (values: Values) => {
    const password = values.raw('password')
    if (password !== values.raw('again')) throw new Error('The two new passwords differ.')
    await api.post('/auth/password', {
      current_password: values.raw('current'),
      new_password: password,
    })
    setChanges(changes + 1)
  }
  return (
    <Section title="Password">
      {changes > 0 && <Notice tone="ok">The password is changed.</Notice>}
      <Form key={changes} action="Change password" onSubmit={change}>
        <input type="hidden" name="username" autocomplete="username" value={email} />
        <TextField
          name="current"
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
        />
        <TextField
          name="password"
          label="New password"
          type="password"
          autoComplete="new-password"
          hint="At least 8 characters."
          required
        />
        <TextField
          name="again"
          label="New password again"
          type="password"
          autoComplete="new-password"
          required
        />
      </Form>
    </Section>
  )
}
