/** When something was broken on purpose: only then may an answer be a refusal nobody earned. */
export interface Disturbances {
  /** Opens a window; the function closes it. `cuts`: connections to our processes break too. */
  begin(what: string, cuts: boolean): () => void
  /** What was broken at some moment of the span, in milliseconds of `performance.now()`; `null`: nothing. */
  during(from: number, to: number): Disturbance | null
}

export interface Disturbance {
  readonly what: string
  readonly cuts: boolean
}

interface Window extends Disturbance {
  readonly from: number
  to: number
}

export function createDisturbances(): Disturbances {
  const windows: Window[] = []
  return {
    begin(what, cuts) {
      const window = { what, cuts, from: performance.now(), to: Number.POSITIVE_INFINITY }
      windows.push(window)
      return () => {
        window.to = performance.now()
      }
    },
    during(from, to) {
      const meant = windows.filter((window) => window.from <= to && window.to >= from)
      const last = meant.at(-1)
      return last === undefined ? null : { what: last.what, cuts: meant.some(({ cuts }) => cuts) }
    },
  }
}
