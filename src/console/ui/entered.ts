/** What people have typed into forms and not sent yet, and who asks them before it is lost. */

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement

const forms = new Map<HTMLFormElement, Map<Field, string>>()

const isField = (target: EventTarget | null): target is Field =>
  target instanceof HTMLInputElement ||
  target instanceof HTMLSelectElement ||
  target instanceof HTMLTextAreaElement

const holds = (field: Field): string =>
  field instanceof HTMLInputElement && (field.type === 'checkbox' || field.type === 'radio')
    ? String(field.checked)
    : field.value

/** From now on knows what is typed into `form`. Answers the way to stop. */
export function watchForm(form: HTMLFormElement): () => void {
  const before = new Map<Field, string>()
  // Before anybody can type there; what a page fills in by itself counts for nothing.
  const remember = ({ target }: FocusEvent) => {
    if (isField(target) && !before.has(target)) before.set(target, holds(target))
  }
  if (isField(document.activeElement) && form.contains(document.activeElement))
    before.set(document.activeElement, holds(document.activeElement))
  form.addEventListener('focusin', remember)
  forms.set(form, before)
  return () => {
    form.removeEventListener('focusin', remember)
    forms.delete(form)
  }
}

/** It was sent: what it holds is not lost any more. */
export function forgetEntered(form: HTMLFormElement): void {
  const before = forms.get(form)
  for (const field of before?.keys() ?? []) before?.set(field, holds(field))
}

/** Whether a form in there holds something that nobody has sent. */
export function isEntered(within: Element): boolean {
  return [...forms].some(
    ([form, before]) =>
      within.contains(form) && [...before].some(([field, was]) => field.isConnected && holds(field) !== was),
  )
}

type Question = (leave: () => void) => void
let ask: Question = (leave) => leave()

/** Who asks. Answers the way to stop. */
export function askBeforeLeaving(question: Question): () => void {
  const before = ask
  ask = question
  return () => {
    ask = before
  }
}

/** Leaves, at once where nothing is lost by it; else only when they say so. */
export function leaving(within: Element, leave: () => void): void {
  if (isEntered(within)) ask(leave)
  else leave()
}
