/** Light or dark, as the person chose in this browser; else as the device is set. */

export type Theme = 'system' | 'light' | 'dark'

const key = 'caracal.theme'

export function chosenTheme(): Theme {
  const stored = localStorage.getItem(key)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

function apply(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function chooseTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(key)
  else localStorage.setItem(key, theme)
  apply(theme)
}

/** From now on the page looks as chosen, in another tab too. */
export function followTheme(): void {
  apply(chosenTheme())
  addEventListener('storage', (event) => {
    if (event.key === key || event.key === null) apply(chosenTheme())
  })
}
