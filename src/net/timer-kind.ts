/** What a timer is for: Stack.expire switches on it. The hundreds name the component, so that it can switch once more. */
export const TimerKind = {
  // 100: TCP
  TcpRetransmit: 100,
  TcpDelayedAck: 101,
  TcpKeepAlive: 102,
  TcpTimeWait: 103,
  TcpPacing: 106,
  TcpSynAck: 110,
  // 200: links and neighbours
  Neighbor: 200,
  AddressProbe: 201,
  // 300: IP
  Reassembly: 300,
  PathMtu: 301,
  // 800: shapers; the owner has `expire`
  Shaper: 800,
  // 700: filter
  Tracking: 700,
  // 400: applications and services, with a callback
  Callback: 400,
  // 500: IPv6 and groups; the owner has `expire`
  Dad: 500,
  Address6: 501,
  RouterSolicit: 502,
  Router: 503,
  Prefix: 504,
  Learned: 505,
  Membership: 506,
  Answer: 507,
  VirtualRouter: 508,
  Querier: 509,
  Gateway: 510,
  Redirect: 511,
  // 600: IPsec and IKE; the owner has `expire`
  SaLifetime: 600,
  Ike: 601,
  NatKeepalive: 602,
} as const;

/** The component of a kind: 1 TCP, 2 link, 3 IP, 4 applications, 5 IPv6, 6 IPsec, 7 filter. */
export const componentOf = (kind: number): number => Math.floor(kind / 100);
