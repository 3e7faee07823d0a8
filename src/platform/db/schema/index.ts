/** Every table of the store, one file for each owner. Only the owner's `store` writes a table (design §2). */
export * from './audit.ts'
export * from './control.ts'
export * from './coordinator.ts'
export * from './platform.ts'
export * from './sts.ts'
