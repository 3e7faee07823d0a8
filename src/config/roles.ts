/** The roles a process can run, in the order in which they start. */
export const roleNames = ['sts', 'control', 'coordinator', 'audit', 'gateway'] as const
export type RoleName = (typeof roleNames)[number]
