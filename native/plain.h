/* Merging, cutting and checksums of plain frames: plain.c. */
#ifndef ANYSTACK_PLAIN_H
#define ANYSTACK_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A TCP segment and what has joined it, put together in one slot. Offsets from the frame's first octet. */
typedef struct {
  size_t link, transport, headers; /* octets before the IP header, the TCP header and the payload */
  size_t length;                   /* of all of it so far */
  size_t size;                     /* payload of each segment but the last */
  uint32_t next;                   /* the sequence number that joins */
  int count;                       /* segments; 0: there is none that others could join */
  bool open;                       /* more may join */
} merge_t;

/* Looks at a frame with `link` octets before its IP header. True: its transport checksum is right. `merge` is begun when others may join. */
bool plain_look(const uint8_t *frame, size_t length, size_t link, merge_t *merge);
/*
 * Another frame of `length` octets: its first merge->headers at `header`, the others behind `frame`, the merge's. True when it is what
 * comes next, and has joined; else nothing has changed.
 */
bool plain_join(merge_t *merge, uint8_t *frame, const uint8_t *header, size_t length);
/* Writes the lengths of several, and the sum of the pseudo header where the checksum stands: it is left partial. */
void plain_close(const merge_t *merge, uint8_t *frame);

/* A frame to be written whose checksum is partial, or that is to be cut. */
typedef struct {
  const struct iovec *pieces; /* the first holds all headers */
  size_t octets;              /* of all pieces */
  size_t network, csum_start, csum_offset;
  size_t headers;  /* octets that each segment repeats, past the checksum field */
  size_t gso_size; /* payload of a segment, 0: not to be cut */
} plain_t;

enum { PLAIN_HEADERS_MAX = 512 };

/* Frames it makes. */
int plain_segments(const plain_t *frame);
/* Frame `index` as ranges, its headers written to `header` (PLAIN_HEADERS_MAX octets). At most one range more than there are pieces. */
int plain_cut(const plain_t *frame, int index, uint8_t *header, struct iovec *to);

#endif
