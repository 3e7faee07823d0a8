/** A straight line through measurements, by least squares. */
export interface Trend {
  readonly mean: number
  /** Of `value` for each unit of `at`. */
  readonly slope: number
}

export function trendOf(points: readonly { readonly at: number; readonly value: number }[]): Trend {
  const count = Math.max(1, points.length)
  const meanAt = points.reduce((sum, { at }) => sum + at, 0) / count
  const mean = points.reduce((sum, { value }) => sum + value, 0) / count
  let spread = 0
  let together = 0
  for (const { at, value } of points) {
    spread += (at - meanAt) ** 2
    together += (at - meanAt) * (value - mean)
  }
  return { mean, slope: spread === 0 ? 0 : together / spread }
}
