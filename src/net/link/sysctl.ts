export const linkSysctls = {} as const;
