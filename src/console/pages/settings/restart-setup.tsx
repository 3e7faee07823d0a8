import { navigate } from '../../router.tsx'
import { useSurroundings } from '../../state/session.tsx'
import { Button, Section } from '../../ui/basics.tsx'

/** Leads to the zone looked at last. */
export function RestartSetup() {
  const { zones } = useSurroundings()
  if (zones.length === 0) return null
  return (
    <Section title="Guided setup">
      <p>It leads from an empty zone to the first governed call, and shows what the zone has of it by now.</p>
      <Button onClick={() => navigate('/setup')}>Start the guided setup again</Button>
    </Section>
  )
}
