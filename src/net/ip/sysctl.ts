export const ipSysctls = {} as const;
