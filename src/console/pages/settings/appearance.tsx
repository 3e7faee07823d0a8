import { chooseTheme, chosenTheme, type Theme } from '../../state/theme.ts'
import { Section } from '../../ui/basics.tsx'
import { Select } from '../../ui/form.tsx'

export function Appearance() {
  return (
    <Section title="Appearance">
      <Select
        name="theme"
        label="Theme"
        value={chosenTheme()}
        choices={[
          { value: 'system', label: 'As the device is set' },
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
        ]}
        hint="Kept in this browser."
        onInput={(theme) => chooseTheme(theme as Theme)}
      />
    </Section>
  )
}
