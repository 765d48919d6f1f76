/*
 * Offloads of a device that has none. Behind a vnet header the kernel merges and cuts TCP segments and finishes checksums;
 * where frames are plain this file does, so that a stack sees big frames there too and pays for each of them once.
 *
 * Merging (Linux's GRO): a segment joins the one before it when, put together and cut again, the two would leave as they
 * came. The payload is read to its place behind the other's, so nothing is copied. Of IPv4's identification that is true
 * only where it means something, with DF clear (RFC 6864 §4).
 */
#include "plain.h"

#include <string.h>

enum { FLAG_FIN = 1, FLAG_PSH = 8, FLAG_ACK = 16, FLAG_ECE = 64, FLAG_CWR = 128 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
enum { TCP_CHECKSUM = 16, UDP_CHECKSUM = 6 };
/* Least payload of a segment that others may join: a request and its answer gain nothing. */
enum { JOIN_MIN = 512, IP_MAX = 65535 };

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }
static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}
static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

/* ---- checksums: RFC 1071, in the machine's octet order until they are put ---- */

static uint64_t sum(const uint8_t *at, size_t length, uint64_t start) {
  uint64_t a = start, b = 0, c = 0, d = 0;
  uint32_t w[8];
  for (; length >= sizeof w; at += sizeof w, length -= sizeof w) {
    memcpy(w, at, sizeof w);
    a += (uint64_t)w[0] + w[4];
    b += (uint64_t)w[1] + w[5];
    c += (uint64_t)w[2] + w[6];
    d += (uint64_t)w[3] + w[7];
  }
  for (; length >= 4; at += 4, length -= 4) {
    memcpy(w, at, 4);
    a += w[0];
  }
  if (length > 0) {
    w[0] = 0;
    memcpy(w, at, length);
    b += w[0];
  }
  return a + b + c + d;
}

static uint16_t fold(uint64_t total) {
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return (uint16_t)total;
}

/* A number of the pseudo header as the sums see it. */
static uint64_t word(size_t value) {
  uint8_t octets[4];
  uint32_t w;
  put32(octets, (uint32_t)value);
  memcpy(&w, octets, 4);
  return w;
}

static void put_sum(uint8_t *at, uint16_t value) { memcpy(at, &value, 2); }

static uint64_t pseudo(const uint8_t *ip, size_t length, unsigned protocol) {
  const uint64_t rest = word(length) + word(protocol);
  return ip[0] >> 4 == 4 ? sum(ip + 12, 8, rest) : sum(ip + 8, 32, rest);
}

/* ---- reading ---- */

bool plain_look(const uint8_t *frame, size_t length, size_t link, merge_t *merge) {
  const uint8_t *ip = frame + link;
  size_t header;
  unsigned protocol;
  merge->count = 0;
  if (length < link + 28) return false;
  const unsigned version = ip[0] >> 4;
  if (link > 0 && get16(ip - 2) != (version == 4 ? 0x0800 : 0x86dd)) return false;
  if (version == 4) {
    /* Options and fragments are the stack's own business, and so is a padded frame. */
    if (ip[0] != 0x45 || (get16(ip + 6) & 0x3fff) != 0 || get16(ip + 2) != length - link) return false;
    header = 20;
    protocol = ip[9];
  } else {
    if (version != 6 || length < link + 60 || get16(ip + 4) != length - link - 40) return false;
    header = 40;
    protocol = ip[6];
  }
  const uint8_t *transport = ip + header;
  const size_t octets = length - link - header;
  if (protocol == PROTOCOL_UDP) {
    if (octets < 8 || get16(transport + 4) != octets || get16(transport + UDP_CHECKSUM) == 0) return false;
  } else if (protocol != PROTOCOL_TCP || octets < 20) return false;
  if (fold(sum(transport, octets, pseudo(ip, octets, protocol))) != 0xffff) return false;
  if (protocol == PROTOCOL_UDP) return true;
  const size_t tcp = (size_t)(transport[12] >> 4) * 4;
  const unsigned flags = transport[13] | (transport[12] & 1u) << 8;
  if (tcp < 20 || octets < tcp + JOIN_MIN || (flags & ~(unsigned)FLAG_ECE) != FLAG_ACK) return true;
  if (version == 4 && fold(sum(ip, 20, 0)) != 0xffff) return true;
  merge->link = link;
  merge->transport = link + header;
  merge->headers = link + header + tcp;
  merge->length = length;
  merge->size = octets - tcp;
  merge->next = get32(transport + 4) + (uint32_t)merge->size;
  merge->count = 1;
  merge->open = length + merge->size <= link + IP_MAX;
  return true;
}

/* True when [from, to) of both headers are the same. */
static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to) { return memcmp(a + from, b + from, to - from) == 0; }

static bool same_network(const merge_t *merge, const uint8_t *first, const uint8_t *next, size_t total) {
  if (first[0] >> 4 == 6) return get16(next + 4) == total - 40 && same(first, next, 0, 4) && same(first, next, 6, 40);
  if (get16(next + 2) != total || !same(first, next, 0, 2) || !same(first, next, 6, 10) || !same(first, next, 12, 20)) return false;
  if ((next[6] & 0x40) == 0 && get16(next + 4) != ((get16(first + 4) + (unsigned)merge->count) & 0xffff)) return false;
  return fold(sum(next, 20, 0)) == 0xffff;
}

bool plain_join(merge_t *merge, uint8_t *frame, const uint8_t *header, size_t length) {
  const uint8_t *payload = frame + merge->length;
  if (length <= merge->headers) return false;
  const size_t octets = length - merge->headers, total = length - merge->link;
  if (octets > merge->size || merge->length + octets > merge->link + IP_MAX) return false;
  if (!same(frame, header, 0, merge->link) || !same_network(merge, frame + merge->link, header + merge->link, total)) return false;
  uint8_t *first = frame + merge->transport;
  const uint8_t *next = header + merge->transport;
  const size_t tcp = merge->headers - merge->transport;
  if (get32(next + 4) != merge->next || !same(first, next, 0, 4) || !same(first, next, 8, 13)) return false;
  if (((first[13] ^ next[13]) & ~(FLAG_PSH | FLAG_FIN)) != 0 || !same(first, next, 14, 16) || !same(first, next, 18, tcp)) return false;
  /* The headers are a multiple of four octets behind the transport's first: the payload's sum is added as it is. */
  if (fold(sum(payload, octets, sum(next, tcp, pseudo(header + merge->link, tcp + octets, PROTOCOL_TCP)))) != 0xffff) return false;
  first[13] |= next[13];
  merge->length += octets;
  merge->next += (uint32_t)octets;
  merge->count++;
  merge->open = octets == merge->size && (next[13] & (FLAG_PSH | FLAG_FIN)) == 0 && merge->length + merge->size <= merge->link + IP_MAX;
  return true;
}

void plain_close(const merge_t *merge, uint8_t *frame) {
  uint8_t *ip = frame + merge->link;
  const size_t octets = merge->length - merge->transport;
  if (ip[0] >> 4 == 4) {
    put16(ip + 2, (unsigned)(merge->length - merge->link));
    put16(ip + 10, 0);
    put_sum(ip + 10, (uint16_t)~fold(sum(ip, 20, 0)));
  } else {
    put16(ip + 4, (unsigned)octets);
  }
  put_sum(frame + merge->transport + TCP_CHECKSUM, fold(pseudo(ip, octets, PROTOCOL_TCP)));
}

/* ---- writing ---- */

/* Fills `to` with the ranges of [from, from + octets) of the pieces, from their first octet on. Their number, and their sum on top of *total. */
static int ranges(const struct iovec *pieces, size_t from, size_t octets, struct iovec *to, uint64_t *total) {
  int n = 0;
  bool odd = false;
  while (octets > 0) {
    if (from >= pieces->iov_len) {
      from -= pieces++->iov_len;
      continue;
    }
    const size_t there = pieces->iov_len - from, length = octets < there ? octets : there;
    to[n] = (struct iovec){(uint8_t *)pieces->iov_base + from, length};
    const uint16_t part = fold(sum(to[n].iov_base, length, 0));
    /* Behind an odd number of octets it stands on the other halves of the words: RFC 1071 §2(B). */
    *total += odd ? (uint16_t)(part << 8 | part >> 8) : part;
    odd ^= length & 1;
    octets -= length;
    from += length;
    n++;
  }
  return n;
}

static void finish(uint8_t *header, size_t start, size_t offset, uint64_t total) {
  uint16_t value = (uint16_t)~fold(total);
  if (value == 0 && offset == UDP_CHECKSUM) value = 0xffff; /* RFC 768 */
  put_sum(header + start + offset, value);
}

int plain_segments(const plain_t *frame) {
  if (frame->gso_size == 0) return 1;
  return frame->octets <= frame->headers ? 1 : (int)((frame->octets - frame->headers + frame->gso_size - 1) / frame->gso_size);
}

int plain_cut(const plain_t *frame, int index, uint8_t *header, struct iovec *to) {
  const uint8_t *first = frame->pieces[0].iov_base;
  const size_t start = frame->csum_start, headers = frame->headers;
  const size_t from = frame->gso_size * (size_t)index, rest = frame->octets - headers - from;
  const size_t octets = frame->gso_size == 0 || rest < frame->gso_size ? rest : frame->gso_size;
  const bool last = octets == rest;
  uint64_t total = 0;
  memcpy(header, first, headers);
  to[0] = (struct iovec){header, headers};
  const int n = 1 + ranges(frame->pieces, headers + from, octets, to + 1, &total);
  if (frame->gso_size > 0) {
    uint8_t *ip = header + frame->network, *transport = header + start;
    const size_t segment = headers - start + octets;
    if (ip[0] >> 4 == 4) {
      put16(ip + 2, (unsigned)(headers - frame->network + octets));
      put16(ip + 4, (get16(ip + 4) + (unsigned)index) & 0xffff);
      put16(ip + 10, 0);
      put_sum(ip + 10, (uint16_t)~fold(sum(ip, (size_t)(ip[0] & 15) * 4, 0)));
    } else {
      put16(ip + 4, (unsigned)(headers - frame->network - 40 + octets));
    }
    if (frame->csum_offset == UDP_CHECKSUM) {
      put16(transport + 4, (unsigned)segment);
      total += pseudo(ip, segment, PROTOCOL_UDP);
    } else {
      put32(transport + 4, get32(transport + 4) + (uint32_t)from);
      if (index > 0) transport[13] &= (uint8_t)~FLAG_CWR;
      if (!last) transport[13] &= (uint8_t)~(FLAG_FIN | FLAG_PSH);
      total += pseudo(ip, segment, PROTOCOL_TCP);
    }
    put16(transport + frame->csum_offset, 0);
  }
  /* An odd header is followed by octets on the other halves; only what is not cut may have one. */
  if ((headers - start) & 1) {
    const uint16_t part = fold(total);
    total = (uint16_t)(part << 8 | part >> 8);
  }
  finish(header, start, frame->csum_offset, sum(header + start, headers - start, total));
  return n;
}
