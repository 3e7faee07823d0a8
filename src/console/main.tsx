import { render } from 'preact'
import { App } from './app.tsx'
import { followTheme } from './state/theme.ts'
import { DiscardQuestion } from './ui/discard.tsx'

followTheme()
const root = document.getElementById('app')
if (root !== null)
  render(
    <>
      <App />
      <DiscardQuestion />
    </>,
    root,
  )
