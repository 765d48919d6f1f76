/*
 * Batched frame I/O over any descriptor that carries whole frames: TAP, TUN, a datagram or seqpacket socket. One call
 * from JavaScript moves a batch; what it moves is written in two Int32Arrays that both sides hold (layouts below and in
 * src/hyper/port.ts).
 *
 * Reading: always into a big slot, since any frame may be an offloaded one; what fits into a small slot is copied there
 * and the big one, warm by now, takes the next. The other way, readv into a small slot with a big one behind it, copies
 * less and is slower for all that (medians of 3 x 30 runs): 1,458 against 1,425 ns a frame of 60 octets, 1,770 against
 * 1,572 of 1,514, and 9,511 against 8,957 of 60 KB.
 */
#include "anystack.h"
#include "plain.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Of newer kernels' virtio_net.h. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { EVENT_READABLE = 1, EVENT_WRITABLE = 2, EVENT_LINK = 4, EVENT_DEAD = 8 };

/*
 * rx: RX_BIGS in: big slots given. RX_ERRNO out: what ended the device, 0 while it lives. RX_BAD counts frames dropped
 *     for their vnet header. RX_LINK in: octets before the IP header.
 *     From RX_FRAMES on, RX_FRAME words per frame: small slot in, the rest out.
 *     From RX_FRAMES + RX_FRAME * batch on, RX_BIG words per big slot: in.
 * Offsets of slots are where the frame's first octet goes; the vnet header lies in the octets before it, in the headroom.
 */
enum { RX_BIGS = 0, RX_ERRNO = 1, RX_BAD = 2, RX_LINK = 3, RX_FRAMES = 8, RX_FRAME = 12, RX_BIG = 4 };
enum { RX_HANDLE, RX_OFFSET, RX_ROOM, RX_LENGTH, RX_CHECKSUM, RX_CSUM_START, RX_CSUM_OFFSET, RX_GSO_TYPE, RX_GSO_SIZE, RX_IN_BIG };

/*
 * tx: TX_FAILED out: frames of this call that the device refused. TX_ERRNO out: why the last of them.
 *     From TX_FRAMES on, TX_FRAME words per frame, all in; its pieces are (handle, offset, length) from TX_PIECES on.
 */
enum { TX_FAILED = 0, TX_ERRNO = 1, TX_DONE = 2, TX_FRAMES = 8, TX_FRAME = 24 };
enum { TX_COUNT, TX_PARTIAL, TX_GSO_TYPE, TX_GSO_SIZE, TX_HEADERS, TX_CSUM_START, TX_CSUM_OFFSET, TX_NETWORK, TX_PIECES, TX_PIECES_MAX = 5 };

/* Of src/base/packet.ts. */
enum { CHECKSUM_UNVERIFIED, CHECKSUM_PARTIAL, CHECKSUM_VERIFIED };

struct port {
  state_t *state;
  int id;
  int fd;
  int link_fd; /* netlink messages of the interface, -1 without */
  int index;   /* of the interface */
  size_t header; /* octets of vnet header before each frame */
  int32_t *rx, *tx;
  int batch;
  napi_ref rx_ref, tx_ref;
  callback_t callback;
  uv_handle_t *poll, *link_poll, *idle;
  int interest;
  double busy_span, busy_until;
  bool busy;
};

static struct port *port_of(napi_env env, napi_value value) {
  state_t *state = state_of(env);
  int32_t id = int_of(env, value);
  return id < 0 || id >= state->ports_room ? NULL : state->ports[id];
}

/* ---- readiness ---- */

static void ready(uv_handle_t *handle, int status, int events);

static void set_interest(struct port *port, int interest) {
  if (interest == port->interest) return;
  port->interest = interest;
  if (interest == 0) uv_poll_stop(port->poll);
  else uv_poll_start(port->poll, interest, ready);
}

static void tell(struct port *port, int event, int a, int b) {
  int32_t values[3] = {event, a, b};
  callback_call(port->state->env, &port->callback, 3, values);
}

/*
 * Readable is level-triggered: it is told in each turn of the loop until a receive has emptied the device, or until
 * JavaScript takes its interest back. The port may be gone when a tell returns.
 */
static void ready(uv_handle_t *handle, int status, int events) {
  struct port *port = uv_handle_get_data(handle);
  if (status < 0) {
    port->interest = 0; /* libuv has stopped the handle */
    tell(port, EVENT_DEAD, -status, 0);
    return;
  }
  if (events & UV_POLL_WRITABLE) set_interest(port, port->interest & ~UV_POLL_WRITABLE);
  tell(port, (events & UV_POLL_READABLE ? EVENT_READABLE : 0) | (events & UV_POLL_WRITABLE ? EVENT_WRITABLE : 0), 0, 0);
}

/* An active idle handle keeps the loop from sleeping: the cheapest busy poll, fair to all else that runs on the loop. */
static void spin(uv_handle_t *handle) {
  struct port *port = uv_handle_get_data(handle);
  if (microseconds(CLOCK_MONOTONIC) < port->busy_until) return;
  uv_idle_stop(handle);
  port->busy = false;
}

static void stay_awake(struct port *port) {
  if (port->busy_span <= 0) return;
  port->busy_until = microseconds(CLOCK_MONOTONIC) + port->busy_span;
  if (port->busy) return;
  port->busy = true;
  uv_idle_start(port->idle, spin);
}

/* ---- the interface's own news ---- */

static void ask_link(const struct port *port) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
  } request;
  memset(&request, 0, sizeof request);
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_index = port->index;
  if (send(port->link_fd, &request, sizeof request, 0) < 0) return;
}

static void link_news(uv_handle_t *handle, int status, int events) {
  struct port *port = uv_handle_get_data(handle);
  char buffer[16384] __attribute__((aligned(8)));
  int up = -1, mtu = 0;
  (void)status;
  (void)events;
  for (;;) {
    ssize_t n = recv(port->link_fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == ENOBUFS) { /* news were lost: ask for the state instead */
      ask_link(port);
      continue;
    }
    if (n <= 0) break;
    for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, (size_t)n); m = NLMSG_NEXT(m, n)) {
      const struct ifinfomsg *link = NLMSG_DATA(m);
      if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < NLMSG_LENGTH(sizeof *link) || link->ifi_index != port->index) continue;
      up = (link->ifi_flags & IFF_UP) != 0;
      int length = (int)IFLA_PAYLOAD(m);
      for (struct rtattr *a = IFLA_RTA(link); RTA_OK(a, length); a = RTA_NEXT(a, length)) {
        if (a->rta_type == IFLA_MTU && RTA_PAYLOAD(a) >= 4) memcpy(&mtu, RTA_DATA(a), 4);
      }
    }
  }
  if (up >= 0) tell(port, EVENT_LINK, up, mtu);
}

/* ---- reading ---- */

/* False for a header that contradicts its frame: not every peer of an inherited descriptor is a kernel. */
static bool read_vnet(const uint8_t *at, size_t length, int32_t *frame) {
  struct virtio_net_hdr h;
  memcpy(&h, at, sizeof h);
  frame[RX_CHECKSUM] = h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM  ? CHECKSUM_PARTIAL
                       : h.flags & VIRTIO_NET_HDR_F_DATA_VALID ? CHECKSUM_VERIFIED
                                                               : CHECKSUM_UNVERIFIED;
  frame[RX_CSUM_START] = h.csum_start;
  frame[RX_CSUM_OFFSET] = h.csum_offset;
  frame[RX_GSO_TYPE] = h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
  frame[RX_GSO_SIZE] = h.gso_size;
  if (frame[RX_CHECKSUM] == CHECKSUM_PARTIAL && (size_t)h.csum_start + h.csum_offset + 2 > length) return false;
  switch (frame[RX_GSO_TYPE]) {
    case VIRTIO_NET_HDR_GSO_NONE:
      return true;
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_TCPV6:
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      return h.gso_size > 0 && frame[RX_CHECKSUM] == CHECKSUM_PARTIAL;
    default:
      return false;
  }
}

/* ---- slots of one receive ---- */

/* The big slots of a receive: one is read into, one may hold a frame that grows. */
typedef struct {
  const struct port *port;
  int count, fresh; /* given; taken from the front so far */
  int spare;        /* taken, and free again; -1 none */
} bigs_t;

static int big_take(bigs_t *bigs) {
  int index = bigs->spare;
  bigs->spare = -1;
  return index >= 0 ? index : bigs->fresh < bigs->count ? bigs->fresh++ : -1;
}

/* Where its frame begins, with the vnet header's room before it; NULL when it lies outside its page. */
static uint8_t *big_at(const bigs_t *bigs, int index, size_t *room) {
  const struct port *port = bigs->port;
  const int32_t *big = port->rx + RX_FRAMES + RX_FRAME * port->batch + RX_BIG * index;
  *room = (size_t)big[RX_ROOM];
  uint8_t *at = page_range(port->state, big[RX_HANDLE], big[RX_OFFSET] - (int32_t)port->header, *room + port->header);
  return at == NULL ? NULL : at + port->header;
}

/* Brings a frame that was read to big slot `big` to where it stays: a small slot when it fits there. False when that lies outside its page. */
static bool settle(bigs_t *bigs, int32_t *frame, const uint8_t *at, size_t length, int *big) {
  const size_t room = (size_t)frame[RX_ROOM];
  frame[RX_LENGTH] = (int32_t)length;
  if (length > room) {
    frame[RX_IN_BIG] = *big;
    *big = -1;
    return true;
  }
  uint8_t *small = page_range(bigs->port->state, frame[RX_HANDLE], frame[RX_OFFSET], room);
  if (small == NULL) return false;
  memcpy(small, at, length);
  frame[RX_IN_BIG] = -1;
  return true;
}

/* The frame that others could join is complete. Its big slot is free again when it was alone and has gone to a small one. */
static bool merged(bigs_t *bigs, merge_t *merge, int32_t *frame, uint8_t *at, int held) {
  const int count = merge->count;
  merge->count = 0;
  if (count == 1) {
    if (!settle(bigs, frame, at, merge->length, &held)) return false;
    bigs->spare = held;
    return true;
  }
  plain_close(merge, at);
  frame[RX_LENGTH] = (int32_t)merge->length;
  frame[RX_IN_BIG] = held;
  frame[RX_CHECKSUM] = CHECKSUM_PARTIAL;
  frame[RX_CSUM_START] = (int32_t)merge->transport;
  frame[RX_CSUM_OFFSET] = 16;
  frame[RX_GSO_TYPE] = at[merge->link] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  frame[RX_GSO_SIZE] = (int32_t)merge->size;
  return true;
}

/*
 * Reads until `max` frames are there, the device is empty or the big slots have run out; *error says what went wrong. While a frame is open
 * to others the next is read with its headers to a slot of its own and its payload behind that frame, where it will stay if it joins.
 */
static int read_frames(struct port *port, int max, int count, int *error) {
  bigs_t bigs = {port, count, 0, -1};
  merge_t merge = {0};
  const size_t header = port->header, link = (size_t)port->rx[RX_LINK];
  uint8_t *open = NULL, *at;
  int n = 0, held = -1, big = big_take(&bigs);
  size_t open_room = 0, room;
  /* Frames that are dropped or joined count too, or a flood of them would keep us. */
  for (int reads = 0; reads < 4 * port->batch && big >= 0 && n < max; reads++) {
    int32_t *frame = port->rx + RX_FRAMES + RX_FRAME * n;
    struct iovec iov[3];
    int vectors = 1;
    size_t left = 0;
    at = big_at(&bigs, big, &room);
    if (at == NULL) {
      *error = EFAULT;
      break;
    }
    if (merge.count > 0) {
      const size_t most = room - merge.headers;
      left = open_room - merge.length < most ? open_room - merge.length : most;
      iov[0] = (struct iovec){at, merge.headers};
      iov[1] = (struct iovec){open + merge.length, left};
      iov[2] = (struct iovec){at + merge.headers, most - left};
      vectors = 3;
    } else {
      iov[0] = (struct iovec){at - header, room + header};
    }
    ssize_t got = readv(port->fd, iov, vectors);
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      if (got == 0) *error = EPIPE; /* end of a socket: nothing a TAP does */
      else if (errno != EAGAIN) *error = errno;
      break;
    }
    if ((size_t)got <= header) continue;
    const size_t length = (size_t)got - header;
    if (merge.count > 0) {
      const size_t octets = length > merge.headers ? length - merge.headers : 0, there = octets < left ? octets : left;
      const bool joined = there == octets && plain_join(&merge, open, at, length);
      if (!joined) { /* in one piece again */
        memmove(at + merge.headers + there, at + merge.headers, octets - there);
        memcpy(at + merge.headers, open + merge.length, there);
      }
      if (joined && merge.open) continue;
      if (!merged(&bigs, &merge, frame - RX_FRAME, open, held)) {
        *error = EFAULT;
        break;
      }
      if (joined) continue;
    }
    n++;
    frame[RX_CHECKSUM] = frame[RX_GSO_TYPE] = frame[RX_GSO_SIZE] = 0;
    if (header > 0 && !read_vnet(at - header, length, frame)) {
      port->rx[RX_BAD]++;
      n--;
      continue;
    }
    if (header == 0 && plain_look(at, length, link, &merge)) frame[RX_CHECKSUM] = CHECKSUM_VERIFIED;
    if (merge.count > 0) {
      held = big;
      open = at;
      open_room = room;
      big = big_take(&bigs);
    } else if (!settle(&bigs, frame, at, length, &big)) {
      *error = EFAULT;
      n--;
      break;
    } else if (big < 0) {
      big = big_take(&bigs);
    }
  }
  if (merge.count > 0 && !merged(&bigs, &merge, port->rx + RX_FRAMES + RX_FRAME * (n - 1), open, held)) *error = EFAULT;
  return n;
}

/* receive(port, max): frames read, less than max when the device is empty or dead (RX_ERRNO) or big slots ran out. */
static napi_value port_receive(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port == NULL) return int_value(env, 0);
  int max = int_of(env, argv[1]), bigs = port->rx[RX_BIGS];
  if (max > port->batch) max = port->batch;
  if (bigs > port->batch) bigs = port->batch;
  port->rx[RX_ERRNO] = 0;
  const int n = read_frames(port, max, bigs, &port->rx[RX_ERRNO]);
  if (n > 0) stay_awake(port);
  return int_value(env, n);
}

/* ---- writing ---- */

/* The pieces of a frame; their number, or -1 when one lies outside its page. */
static int gather(const struct port *port, const int32_t *frame, struct iovec *iov) {
  const int pieces = frame[TX_COUNT];
  if (pieces < 1 || pieces > TX_PIECES_MAX) return -1;
  for (int i = 0; i < pieces; i++) {
    const int32_t *piece = frame + TX_PIECES + 3 * i;
    iov[i] = (struct iovec){page_range(port->state, piece[0], piece[1], (size_t)piece[2]), (size_t)piece[2]};
    if (iov[i].iov_base == NULL) return -1;
  }
  return pieces;
}

/* An errno, 0 when it is out. */
static int write_out(const struct port *port, const struct iovec *iov, int count) {
  while (writev(port->fd, iov, count) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

static int write_vnet(const struct port *port, const int32_t *frame, struct iovec *iov, int pieces) {
  struct virtio_net_hdr_mrg_rxbuf h;
  memset(&h, 0, sizeof h);
  h.hdr.flags = frame[TX_PARTIAL] ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
  h.hdr.gso_type = (uint8_t)frame[TX_GSO_TYPE];
  h.hdr.gso_size = (uint16_t)frame[TX_GSO_SIZE];
  h.hdr.hdr_len = (uint16_t)frame[TX_HEADERS];
  h.hdr.csum_start = (uint16_t)frame[TX_CSUM_START];
  h.hdr.csum_offset = (uint16_t)frame[TX_CSUM_OFFSET];
  iov[0] = (struct iovec){&h, port->header};
  return write_out(port, iov, 1 + pieces);
}

/* Cuts it where it is big, finishes checksums. *done: frames of it that are out, then and now; the headers may come from another machine. */
static int write_plain(const struct port *port, const int32_t *frame, const struct iovec *pieces, int count, int32_t *done) {
  if (!frame[TX_PARTIAL]) return frame[TX_GSO_TYPE] == 0 ? write_out(port, pieces, count) : EINVAL;
  uint8_t header[PLAIN_HEADERS_MAX];
  struct iovec iov[1 + TX_PIECES_MAX];
  plain_t plain = {.pieces = pieces, .network = (size_t)frame[TX_NETWORK], .csum_start = (size_t)frame[TX_CSUM_START]};
  plain.csum_offset = (size_t)frame[TX_CSUM_OFFSET];
  plain.headers = plain.csum_start + plain.csum_offset + 2;
  for (int i = 0; i < count; i++) plain.octets += pieces[i].iov_len;
  if (frame[TX_GSO_TYPE] != 0) {
    if (frame[TX_GSO_SIZE] < 1 || (size_t)frame[TX_HEADERS] < plain.headers) return EINVAL;
    plain.gso_size = (size_t)frame[TX_GSO_SIZE];
    plain.headers = (size_t)frame[TX_HEADERS];
    const size_t network = frame[TX_GSO_TYPE] == VIRTIO_NET_HDR_GSO_TCPV6 ? 40 : 20;
    const size_t transport = frame[TX_GSO_TYPE] == VIRTIO_NET_HDR_GSO_UDP_L4 ? 8 : 20;
    if (frame[TX_NETWORK] < 0 || plain.network + network > plain.csum_start || plain.csum_start + transport > plain.headers) return EINVAL;
  }
  if (plain.headers > sizeof header || plain.headers > pieces[0].iov_len) return EINVAL;
  for (const int all = plain_segments(&plain); *done < all; ++*done) {
    const int ranges = plain_cut(&plain, *done, header, iov);
    const int error = write_out(port, iov, ranges);
    if (error != 0) return error;
  }
  return 0;
}

/*
 * transmit(port, count): frames the device took or refused for good (TX_FAILED); short when it is full, and Writable will be told. TX_DONE:
 * the frames cut from the first one that were out before, then those of the first that is left.
 */
static napi_value port_transmit(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port == NULL) return int_value(env, 0);
  int count = int_of(env, argv[1]), n = 0;
  int32_t *tx = port->tx;
  if (count > port->batch) count = port->batch;
  tx[TX_FAILED] = tx[TX_ERRNO] = 0;
  for (; n < count; n++, tx[TX_DONE] = 0) {
    const int32_t *frame = tx + TX_FRAMES + TX_FRAME * n;
    struct iovec iov[1 + TX_PIECES_MAX];
    const int pieces = gather(port, frame, iov + 1);
    int error = EFAULT;
    if (pieces > 0) error = port->header > 0 ? write_vnet(port, frame, iov, pieces) : write_plain(port, frame, iov + 1, pieces, &tx[TX_DONE]);
    if (error == EAGAIN || error == ENOBUFS) {
      set_interest(port, port->interest | UV_POLL_WRITABLE);
      break;
    }
    if (error != 0) {
      tx[TX_FAILED]++;
      tx[TX_ERRNO] = error;
    }
  }
  return int_value(env, n);
}

/* ---- life ---- */

static int32_t *shared_words(napi_env env, napi_value array, napi_ref *reference, size_t *length) {
  void *data = NULL;
  napi_get_typedarray_info(env, array, NULL, length, &data, NULL, NULL);
  napi_create_reference(env, array, 1, reference);
  return data;
}

void port_close(struct port *port) {
  state_t *state = port->state;
  state->ports[port->id] = NULL;
  uv_poll_stop(port->poll);
  handle_close(state, port->poll);
  if (port->link_poll != NULL) {
    uv_poll_stop(port->link_poll);
    handle_close(state, port->link_poll);
    close(port->link_fd);
  }
  if (port->busy) uv_idle_stop(port->idle);
  handle_close(state, port->idle);
  close(port->fd);
  callback_clear(state->env, &port->callback);
  napi_delete_reference(state->env, port->rx_ref);
  napi_delete_reference(state->env, port->tx_ref);
  free(port);
}

/*
 * port(fd, linkFd, index, header, rx, tx, batch, event: (event, a, b) => void): its number, or a negative errno.
 * Owns both descriptors from then on. Reading starts with interest(port, 1).
 */
static napi_value port_new(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[8];
  size_t rx_words = 0, tx_words = 0;
  int id = 0, error;
  arguments(env, info, 8, argv);
  struct port *port = calloc(1, sizeof *port);
  if (port == NULL) return int_value(env, -ENOMEM);
  port->state = state;
  port->fd = int_of(env, argv[0]);
  port->link_fd = int_of(env, argv[1]);
  port->index = int_of(env, argv[2]);
  port->header = (size_t)int_of(env, argv[3]);
  port->batch = int_of(env, argv[6]);
  if (port->header != 0 && port->header != sizeof(struct virtio_net_hdr) && port->header != sizeof(struct virtio_net_hdr_mrg_rxbuf)) {
    free(port);
    return int_value(env, -EINVAL);
  }
  while (id < state->ports_room && state->ports[id] != NULL) id++;
  if (id == state->ports_room) {
    int room = id == 0 ? 8 : 2 * id;
    struct port **ports = realloc(state->ports, (size_t)room * sizeof *ports);
    if (ports == NULL) {
      free(port);
      return int_value(env, -ENOMEM);
    }
    memset(ports + id, 0, (size_t)(room - id) * sizeof *ports);
    state->ports = ports;
    state->ports_room = room;
  }
  port->poll = handle_new(state, UV_KIND_POLL, port);
  error = uv_poll_init(state->loop, port->poll, port->fd);
  if (error < 0) { /* e.g. EPERM: a regular file has no readiness */
    free(port->poll);
    state->handles--;
    free(port);
    return int_value(env, error);
  }
  uv_unref(port->poll);
  port->idle = handle_new(state, UV_KIND_IDLE, port);
  uv_idle_init(state->loop, port->idle);
  uv_unref(port->idle);
  port->rx = shared_words(env, argv[4], &port->rx_ref, &rx_words);
  port->tx = shared_words(env, argv[5], &port->tx_ref, &tx_words);
  /* The arrays bound the batch, whatever the caller says. */
  while (port->batch > 0 && (RX_FRAMES + (RX_FRAME + RX_BIG) * (size_t)port->batch > rx_words || TX_FRAMES + TX_FRAME * (size_t)port->batch > tx_words)) port->batch--;
  callback_set(env, &port->callback, argv[7], "anystack.port");
  if (port->link_fd >= 0) {
    port->link_poll = handle_new(state, UV_KIND_POLL, port);
    uv_poll_init(state->loop, port->link_poll, port->link_fd);
    uv_unref(port->link_poll);
    uv_poll_start(port->link_poll, UV_POLL_READABLE, link_news);
  }
  port->id = id;
  state->ports[id] = port;
  return int_value(env, id);
}

/* interest(port, readable: 0 | 1): whether Readable is told. */
static napi_value port_interest(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port != NULL) set_interest(port, (port->interest & UV_POLL_WRITABLE) | (int_of(env, argv[1]) ? UV_POLL_READABLE : 0));
  return NULL;
}

/* busyPoll(port, microseconds): how long the loop stays awake after traffic. 0, the default, lets it sleep at once. */
static napi_value port_busy(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port != NULL) port->busy_span = int_of(env, argv[1]);
  return NULL;
}

static napi_value port_end(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  struct port *port = port_of(env, argv[0]);
  if (port != NULL) port_close(port);
  return NULL;
}

/* Of src/hyper/hypercalls.ts: checksums, segments of TCP over both families and of UDP, merged frames. */
enum { PLAIN_OFFLOADS = 1 | 2 | 4 | 8 | 16 };

void ports_init(napi_env env, napi_value exports) {
  napi_set_named_property(env, exports, "plainOffloads", int_value(env, PLAIN_OFFLOADS));
  export_function(env, exports, "port", port_new);
  export_function(env, exports, "receive", port_receive);
  export_function(env, exports, "transmit", port_transmit);
  export_function(env, exports, "interest", port_interest);
  export_function(env, exports, "busyPoll", port_busy);
  export_function(env, exports, "portClose", port_end);
}
