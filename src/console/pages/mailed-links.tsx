/** What the links in mail lead to. Their secret is in the fragment, which is sent to the server only in a form. */
import { useEffect, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { Link, navigate } from '../router.tsx'
import { Notice } from '../ui/basics.tsx'
import { Form, TextField, type Values } from '../ui/form.tsx'
import { Alone } from './alone.tsx'

/** The fragment that the page was opened with, also when it was open before; it does not stay in the address bar or the history. */
function useFragment(): string {
  const [secret, setSecret] = useState('')
  useEffect(() => {
    const take = () => {
      if (location.hash.length < 2) return
      setSecret(location.hash.slice(1))
      history.replaceState(null, '', location.pathname)
    }
    take()
    addEventListener('hashchange', take)
    return () => removeEventListener('hashchange', take)
  }, [])
  return secret
}

const toSignIn = (
  <p class="ways">
    <Link to="/">To the sign-in</Link>
  </p>
)

export function ResetPassword() {
  const token = useFragment()
  const [outcome, setOutcome] = useState<'asked' | 'changed'>()
  useEffect(() => setOutcome(undefined), [token])
  useEffect(() => {
    document.title = 'New password · Caracal'
  }, [])
  const ask = async (values: Values) => {
    await api.post('/auth/password-reset', { email: values.text('email') })
    setOutcome('asked')
  }
  const change = async (values: Values) => {
    await api.post('/auth/password-reset/confirm', { token, new_password: values.raw('password') })
    setOutcome('changed')
  }
  return (
    <Alone title="New password">
      {outcome === 'asked' && (
        <Notice>
          If the address has an account, a link is on its way to it. It is good for half an hour.
        </Notice>
      )}
      {outcome === 'changed' && (
        <Notice tone="ok">Your password is changed, and all your sessions are ended.</Notice>
      )}
      {outcome === undefined &&
        (token === '' ? (
          <Form action="Mail me a link" onSubmit={ask}>
            <TextField name="email" label="E-mail" type="email" autoComplete="username" autoFocus required />
          </Form>
        ) : (
          <Form action="Change password" onSubmit={change}>
            <TextField
              name="password"
              label="New password"
              type="password"
              autoComplete="new-password"
              autoFocus
              required
              hint="At least 8 characters."
            />
          </Form>
        ))}
      {toSignIn}
    </Alone>
  )
}

export function VerifyEmail({ onSignedIn }: { readonly onSignedIn: () => void }) {
  const token = useFragment()
  useEffect(() => {
    document.title = 'Confirm your address · Caracal'
  }, [])
  const confirm = async (values: Values) => {
    await api.post('/auth/verify', { token, password: values.raw('password') })
    navigate('/', { replace: true })
    onSignedIn()
  }
  return (
    <Alone title="Confirm your address">
      {token === '' ? (
        <Notice tone="warn">This page needs the whole link that was mailed to you.</Notice>
      ) : (
        <Form action="Confirm and sign in" onSubmit={confirm}>
          <TextField
            name="password"
            label="Password"
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            hint="The one you chose when you registered."
          />
        </Form>
      )}
      {toSignIn}
    </Alone>
  )
}
