/** How deep JSON from outside may nest: whatever walks it later needs no more of the stack than this. */
export const deepestNesting = 64

/** True when objects and arrays lie in one another more than `levels` deep. */
export function nestsTooDeep(value: unknown, levels = deepestNesting): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => nestsTooDeep(member, levels - 1))
}
