/** When something was broken on purpose: only then may an answer be a refusal nobody earned. */
export interface Disturbances {
  /** Opens a window; the function closes it. */
  begin(what: string): () => void
  /** What was broken at some moment of the span, in milliseconds of `performance.now()`; `null`: nothing. */
  during(from: number, to: number): string | null
}

interface Window {
  readonly what: string
  readonly from: number
  to: number
}

export function createDisturbances(): Disturbances {
  const windows: Window[] = []
  return {
    begin(what) {
      const window = { what, from: performance.now(), to: Number.POSITIVE_INFINITY }
      windows.push(window)
      return () => {
        window.to = performance.now()
      }
    },
    during: (from, to) => windows.findLast((window) => window.from <= to && window.to >= from)?.what ?? null,
  }
}
