/** Every table of the store, by owner. Only the owner's `store` writes a table (design §2). */
export * from './access.ts'
export * from './audit.ts'
export * from './control.ts'
export * from './coordinator.ts'
export * from './definitions.ts'
export * from './grants.ts'
export * from './platform.ts'
export * from './sts.ts'
