/** IKE_AUTH: who both sides are, and the first child. RFC 7296 §1.2, §2.15, §2.16, §2.19. */

import type { Address } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { NetError } from '../../../base/errors.js';
import { Exchange, NotifyType, type Part, type Payload, PayloadType } from '../../../wire/ike.js';
import {
  AuthMethod,
  addressOctets,
  CertEncoding,
  ConfigAttribute,
  ConfigType,
  IdType,
  join,
  putAuth,
  putConfig,
  putId,
  readAddress,
  readAuth,
  readConfig,
  readId,
} from '../../../wire/ike-payload.js';
import { certificateRequest, subjectOf } from './certificate.js';
import { ChildSa, type ChildTerms } from './child-sa.js';
import { type Auth, type Connection, readIdentity, sameIdentity, wholeChild } from './connection.js';
import { acceptChild, agreedChild, type ChildStart, childOffer } from './create-child.js';
import { formatName } from './distinguished-name.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa } from './ike-sa.js';
import { type IkeKeys, prf } from './keys.js';
import { learnMobike, mobikeParts } from './mobike.js';
import { errorOf, find, notifies, notifyPart } from './notify.js';
import type { IkeSuite } from './proposal.js';
import { redirected } from './redirect.js';
import { putSignature, readSignature, schemeFor } from './signature.js';

/** Certificates taken from one peer. */
const CERTIFICATES_MAX = 8;
const KEY_PAD = new TextEncoder().encode('Key Pad for IKEv2');

/** What the AUTH payload of a side covers: RFC 7296 §2.15. `ours`: our own, else the peer's. */
function signedOctets(x: Exchanges, sa: IkeSa, id: Uint8Array, ours: boolean): Uint8Array {
  const suite = sa.suite as IkeSuite;
  const keys = sa.keys as IkeKeys;
  const first = ours === sa.initiator;
  const mac = prf(x.crypto, suite.prf, first ? keys.pi : keys.pr, id);
  return first ? join(sa.initI, sa.nonceR, mac) : join(sa.initR, sa.nonceI, mac);
}

function sharedKeyMac(x: Exchanges, sa: IkeSa, secret: Uint8Array, octets: Uint8Array): Uint8Array {
  const { prf: p } = sa.suite as IkeSuite;
  const key = prf(x.crypto, p, secret, KEY_PAD);
  const mac = prf(x.crypto, p, key, octets);
  key.fill(0);
  return mac;
}

/** Our AUTH payload, and the certificates before it. */
function prove(x: Exchanges, sa: IkeSa, id: Uint8Array, then: (certificates: Part[], auth: Part) => void): void {
  const auth = sa.connection.localAuth;
  const octets = signedOctets(x, sa, id, true);
  if (auth.method === 'psk') {
    then([], { type: PayloadType.Auth, body: putAuth(AuthMethod.SharedKey, sharedKeyMac(x, sa, auth.secret, octets)) });
    return;
  }
  const scheme = schemeFor(auth.kind, sa.peerHashes);
  if (scheme === null) {
    sa.fail(`the peer verifies no signature of a key of kind ${auth.kind}`);
    return;
  }
  x.work(
    sa,
    { operation: 'sign', algorithm: scheme.algorithm, parameters: { key: auth.key as string | Uint8Array, data: octets } },
    (signature, error) => {
      if (signature === null) {
        sa.fail(`signing failed: ${error ?? ''}`);
        return;
      }
      const certificates = auth.certificates.map((c) => ({ type: PayloadType.Cert, body: join(Uint8Array.of(CertEncoding.X509), c) }));
      then(certificates, { type: PayloadType.Auth, body: putAuth(AuthMethod.Signature, putSignature(scheme, signature)) });
    },
  );
}

/** Is the peer who it says? `then` hears of success; failure is told to `refuse`. */
function checkPeer(
  x: Exchanges,
  sa: IkeSa,
  payloads: readonly Payload[],
  id: Uint8Array,
  expected: Auth,
  then: () => void,
  refuse: (why: string) => void,
): void {
  const payload = find(payloads, PayloadType.Auth);
  const auth = payload === null ? null : readAuth(payload.body);
  if (auth === null) {
    refuse('no AUTH payload');
    return;
  }
  const octets = signedOctets(x, sa, id, false);
  if (expected.method === 'psk') {
    if (auth.method !== AuthMethod.SharedKey) refuse('a signature where a shared key was expected');
    else if (equalSecretly(sharedKeyMac(x, sa, expected.secret, octets), auth.data)) then();
    else refuse('the shared keys differ');
    return;
  }
  const signature = readSignature(auth.method, auth.data);
  const certificates = payloads
    .filter((p) => p.type === PayloadType.Cert && p.body[0] === CertEncoding.X509)
    .slice(0, CERTIFICATES_MAX)
    .map((p) => p.body.subarray(1));
  const [leaf] = certificates;
  if (signature === null || leaf === undefined) {
    refuse(signature === null ? 'a signature nothing here verifies' : 'no certificate');
    return;
  }
  const { peerId } = sa;
  // A distinguished name is the certificate's subject; other names stand in it as alternatives, and the host looks for them (RFC 4945 §3.1).
  const named = peerId?.type === IdType.Dn;
  const subject = named ? subjectOf(leaf) : null;
  if (named && (subject === null || formatName(subject) !== peerId.text)) {
    refuse(`the certificate is not of ${peerId.text}`);
    return;
  }
  const identity = named ? '' : (peerId?.text ?? '');
  const chain = Object.fromEntries(certificates.slice(1).map((c, i) => [`intermediate${i}`, c]));
  const anchors = Object.fromEntries(expected.anchors.map((c, i) => [`anchor${i}`, c]));
  const seconds = String(Math.floor(x.ike.ctx.hyper.wallClock() / 1e6));
  x.work(
    sa,
    { operation: 'validate', algorithm: 'x509', parameters: { certificate: leaf, identity, seconds, ...chain, ...anchors } },
    (valid, why) => {
      if (valid === null) {
        refuse(why ?? 'the certificate is not valid');
        return;
      }
      const parameters = { key: leaf, data: octets, signature: signature.signature };
      x.work(sa, { operation: 'verify', algorithm: signature.algorithm, parameters }, (right, error) => {
        if (right?.[0] === 1) then();
        else refuse(error ?? 'the signature is wrong');
      });
    },
  );
}

/** No early exit: how much was right takes no different time. */
function equalSecretly(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let wrong = 0;
  for (let i = 0; i < a.length; i++) wrong |= (a[i] as number) ^ (b[i] as number);
  return wrong === 0;
}

/** The initiator's request. `requested`: the responder has asked for certificates. */
export function startAuth(x: Exchanges, sa: IkeSa): void {
  const { connection } = sa;
  const id = putId(connection.localId.type, connection.localId.data);
  const [first] = connection.children;
  const wanted = sa.firstChild ?? (first === undefined ? null : wholeChild(first));
  const child = wanted === null ? null : childOffer(x, sa, wanted, null, false);
  prove(x, sa, id, (certificates, auth) => {
    const { remoteId, remoteAuth } = connection;
    const wanted = certificateRequest(x.crypto, [remoteAuth]);
    const parts: Part[] = [
      { type: PayloadType.IdI, body: id },
      ...certificates,
      ...(wanted === null ? [] : [{ type: PayloadType.CertReq, body: wanted }]),
      ...(remoteId === null ? [] : [{ type: PayloadType.IdR, body: putId(remoteId.type, remoteId.data) }]),
      auth,
      ...(connection.unique ? [notifyPart(NotifyType.InitialContact)] : []),
      ...mobikeParts(x, sa),
      ...(connection.virtualAddress === null
        ? []
        : [
            {
              type: PayloadType.Config,
              body: putConfig(
                ConfigType.Request,
                REQUESTED.map((type) => ({ type, value: NONE })),
              ),
            },
          ]),
      ...(child === null ? [] : child.parts),
    ];
    sa.request({ exchange: Exchange.Auth, build: () => parts, done: (payloads) => payloads !== null && authAnswered(x, sa, child, payloads) });
  });
}

const NONE = new Uint8Array();
const REQUESTED = [ConfigAttribute.Ipv4Address, ConfigAttribute.Ipv4Dns];

function authAnswered(x: Exchanges, sa: IkeSa, child: ChildStart | null, payloads: readonly Payload[]): void {
  const idPayload = find(payloads, PayloadType.IdR);
  const id = idPayload === null ? null : readId(idPayload.body);
  const wrong = errorOf(payloads);
  if (idPayload === null || id === null) {
    x.refused(sa, 'IKE_AUTH', wrong);
    return;
  }
  sa.peerId = readIdentity(id.type, id.data);
  const { remoteId, remoteAuth } = sa.connection;
  const refuse = (why: string): void => {
    // RFC 7296 §2.21.2: told in an exchange of its own, since the peer believes all is well.
    sa.request({ exchange: Exchange.Informational, build: () => [notifyPart(NotifyType.AuthenticationFailed)], done: () => sa.fail(why) });
    sa.error = why;
  };
  if (remoteId !== null && !sameIdentity(remoteId, sa.peerId)) {
    refuse(`the peer is ${sa.peerId.text}, not ${remoteId.text}`);
    return;
  }
  checkPeer(
    x,
    sa,
    payloads,
    idPayload.body,
    remoteAuth,
    () => {
      readVirtual(x, sa, payloads);
      learnMobike(sa, payloads);
      x.established(sa);
      if (redirected(x, sa, payloads, null)) return;
      if (child !== null) agreedChild(x, sa, child, payloads);
      for (const config of sa.connection.children) if (config.start === 'start' && config !== child?.config) x.createChild(sa, wholeChild(config));
    },
    refuse,
  );
}

function readVirtual(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const payload = find(payloads, PayloadType.Config);
  const reply = payload === null ? null : readConfig(payload.body);
  if (reply === null || reply.type !== ConfigType.Reply || sa.connection.virtualAddress === null) return;
  const addresses: Address[] = [];
  const dns: Address[] = [];
  for (const { type, value } of reply.attributes) {
    if (type === ConfigAttribute.Ipv4Address && value.length === 4) addresses.push(readAddress(value));
    else if (type === ConfigAttribute.Ipv6Address && value.length === 17) addresses.push(readAddress(value.subarray(0, 16)));
    else if ((type === ConfigAttribute.Ipv4Dns && value.length === 4) || (type === ConfigAttribute.Ipv6Dns && value.length === 16))
      dns.push(readAddress(value));
  }
  sa.virtual = addresses;
  x.ike.events.configured(sa, addresses, dns);
}

/** The responder's side. */
export function answerAuth(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const idPayload = find(payloads, PayloadType.IdI);
  const id = idPayload === null ? null : readId(idPayload.body);
  if (sa.state !== 'connecting' || idPayload === null || id === null) {
    x.ike.drop(Drop.IkeState);
    sa.respond(Exchange.Auth, [notifyPart(NotifyType.InvalidSyntax)]);
    sa.fail('no identity');
    return;
  }
  sa.peerId = readIdentity(id.type, id.data);
  const wantedPayload = find(payloads, PayloadType.IdR);
  const wanted = wantedPayload === null ? null : readId(wantedPayload.body);
  const connection = connectionFor(x, sa, wanted === null ? null : readIdentity(wanted.type, wanted.data));
  const refuse = (why: string): void => {
    // One answer for all reasons: who has no business here learns nothing (RFC 7296 §2.21.2).
    sa.respond(Exchange.Auth, [notifyPart(NotifyType.AuthenticationFailed)]);
    sa.fail(why);
  };
  if (connection === null) {
    refuse(`no connection for ${sa.peerId.text}`);
    return;
  }
  sa.connection = connection;
  checkPeer(x, sa, payloads, idPayload.body, connection.remoteAuth, () => accepted(x, sa, payloads), refuse);
}

/** The connection by addresses and both identities: the most specific first. */
function connectionFor(x: Exchanges, sa: IkeSa, wanted: ReturnType<typeof readIdentity> | null): Connection | null {
  const peer = sa.peerId as NonNullable<IkeSa['peerId']>;
  const fits = x.ike.candidates(sa.local, sa.remote).filter((c) => {
    if (c.remoteId !== null && !sameIdentity(c.remoteId, peer)) return false;
    return wanted === null || wanted.type === IdType.Gn || sameIdentity(c.localId, wanted);
  });
  return fits.find((c) => c.remoteId !== null) ?? fits[0] ?? null;
}

function accepted(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const { connection } = sa;
  const id = putId(connection.localId.type, connection.localId.data);
  prove(x, sa, id, (certificates, auth) => {
    const parts: Part[] = [{ type: PayloadType.IdR, body: id }, ...certificates, auth];
    const unfit = learnMobike(sa, payloads);
    if (unfit !== 0) {
      sa.respond(Exchange.Auth, [notifyPart(unfit)]);
      sa.fail('a NAT where the peer allows none');
      return;
    }
    if (sa.mobility !== null) parts.push(...mobikeParts(x, sa));
    if (connection.unique || notifies(payloads).some((n) => n.type === NotifyType.InitialContact)) x.replaceOthers(sa);
    const given = assign(x, sa, payloads);
    if (given !== null) parts.push(given);
    let terms: ChildTerms | null = null;
    if (find(payloads, PayloadType.Sa) !== null) {
      const answer = acceptChild(x, sa, payloads, null, null, NONE);
      if (answer.terms === null) parts.push(notifyPart(answer.error, answer.data));
      else {
        terms = answer.terms;
        parts.push(...answer.parts);
      }
    }
    x.established(sa);
    if (terms !== null) {
      try {
        new ChildSa(sa, terms, (sa.suite as IkeSuite).prf, (sa.keys as IkeKeys).d);
      } catch (error) {
        if (!(error instanceof NetError)) throw error;
        parts.splice(1 + certificates.length + 1, parts.length, notifyPart(NotifyType.NoAdditionalSas));
      }
    }
    sa.respond(Exchange.Auth, parts);
  });
}

/** RFC 7296 §2.19: an inner address for a peer that asks for one. */
function assign(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): Part | null {
  const payload = find(payloads, PayloadType.Config);
  const asked = payload === null ? null : readConfig(payload.body);
  if (asked === null || asked.type !== ConfigType.Request || !asked.attributes.some((a) => a.type === ConfigAttribute.Ipv4Address)) return null;
  const address = x.ike.lease(sa);
  if (address === null) return notifyPart(NotifyType.InternalAddressFailure);
  sa.virtual = [address];
  return { type: PayloadType.Config, body: putConfig(ConfigType.Reply, [{ type: ConfigAttribute.Ipv4Address, value: addressOctets(address) }]) };
}
