export const tcpSysctls = {} as const;
