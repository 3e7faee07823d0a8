import { useEffect } from 'preact/hooks'
import { api } from '../api.ts'
import { Link, navigate } from '../router.tsx'
import { mayMakeZones, useSurroundings, type Zone } from '../state/session.tsx'
import { Button, Notice } from '../ui/basics.tsx'
import { Form, TextField, type Values } from '../ui/form.tsx'

/** What an operator sees while there is no zone. */
export function Onboarding() {
  const { session, reloadZones, signOut } = useSurroundings()
  useEffect(() => {
    document.title = 'Welcome · Caracal'
  }, [])
  const create = async (values: Values) => {
    const zone = await api.post<Zone>('/v1/zones', { name: values.text('name') })
    navigate(`/zones/${zone.id}/setup`)
    reloadZones()
  }
  return (
    <main class="alone">
      <h1>
        <img src="/console/favicon.svg" alt="" width="36" height="36" /> Welcome, {session.user.name}
      </h1>
      <p>
        A zone is home to your agents: it holds the applications that run them, the resources they may reach
        and the policy that says who may do what, and nothing in it reaches into another zone.
      </p>
      {mayMakeZones(session) ? (
        <Form action="Create zone" onSubmit={create}>
          <TextField
            name="name"
            label="Name your first zone"
            placeholder="Production"
            hint="You can rename it at any time."
            required
            autoFocus
          />
        </Form>
      ) : (
        <Notice>
          There is no zone yet, and you may not create one. Ask whoever runs this server to create it, or to
          let you write.
        </Notice>
      )}
      <p class="ways">
        <Link to="/settings">Settings</Link>
        <Button kind="link" onClick={signOut}>
          Sign out
        </Button>
      </p>
    </main>
  )
}
