/** Whether the date an ISO text begins with exists, for Postgres too: it refuses a 30th of February and a year 0. */
export function isRealDate(text: string): boolean {
  const time = Date.parse(text)
  if (Number.isNaN(time) || text.startsWith('0000')) return false
  return new Date(time).toISOString().slice(0, 10) === text.slice(0, 10)
}
