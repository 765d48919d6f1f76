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
 *     for their vnet header.
 *     From RX_FRAMES on, RX_FRAME words per frame: small slot in, the rest out.
 *     From RX_FRAMES + RX_FRAME * batch on, RX_BIG words per big slot: in.
 * Offsets of slots are where the frame's first octet goes; the vnet header lies in the octets before it, in the headroom.
 */
enum { RX_BIGS = 0, RX_ERRNO = 1, RX_BAD = 2, RX_FRAMES = 8, RX_FRAME = 12, RX_BIG = 4 };
enum { RX_HANDLE, RX_OFFSET, RX_ROOM, RX_LENGTH, RX_CHECKSUM, RX_CSUM_START, RX_CSUM_OFFSET, RX_GSO_TYPE, RX_GSO_SIZE, RX_IN_BIG };

/*
 * tx: TX_FAILED out: frames of this call that the device refused. TX_ERRNO out: why the last of them.
 *     From TX_FRAMES on, TX_FRAME words per frame, all in; its pieces are (handle, offset, length) from TX_PIECES on.
 */
enum { TX_FAILED = 0, TX_ERRNO = 1, TX_FRAMES = 8, TX_FRAME = 24 };
enum { TX_COUNT, TX_PARTIAL, TX_GSO_TYPE, TX_GSO_SIZE, TX_HEADERS, TX_CSUM_START, TX_CSUM_OFFSET, TX_PIECES = 8, TX_PIECES_MAX = 5 };

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

/* receive(port, max): frames read, less than max when the device is empty or dead (RX_ERRNO) or big slots ran out. */
static napi_value port_receive(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port == NULL) return int_value(env, 0);
  state_t *state = port->state;
  int max = int_of(env, argv[1]);
  int bigs = port->rx[RX_BIGS], big_used = 0, n = 0;
  const size_t header = port->header;
  if (max > port->batch) max = port->batch;
  if (bigs > port->batch) bigs = port->batch;
  port->rx[RX_ERRNO] = 0;
  /* Without a big slot the next frame could be cut: the caller brings new ones. */
  /* Frames that are dropped here count too, or a flood of them would keep us. */
  for (int reads = 0; reads < 2 * port->batch && n < max && big_used < bigs; reads++) {
    int32_t *frame = port->rx + RX_FRAMES + RX_FRAME * n;
    const int32_t *big = port->rx + RX_FRAMES + RX_FRAME * port->batch + RX_BIG * big_used;
    const size_t room = (size_t)frame[RX_ROOM];
    uint8_t *small_at = page_range(state, frame[RX_HANDLE], frame[RX_OFFSET], room);
    uint8_t *big_at = page_range(state, big[RX_HANDLE], big[RX_OFFSET] - (int32_t)header, (size_t)big[RX_ROOM] + header);
    if (small_at == NULL || big_at == NULL) {
      port->rx[RX_ERRNO] = EFAULT;
      break;
    }
    ssize_t got = read(port->fd, big_at, (size_t)big[RX_ROOM] + header);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) port->rx[RX_ERRNO] = errno;
      break;
    }
    if (got == 0) { /* end of a socket: nothing a TAP does */
      port->rx[RX_ERRNO] = EPIPE;
      break;
    }
    if ((size_t)got <= header) continue;
    const size_t length = (size_t)got - header;
    frame[RX_LENGTH] = (int32_t)length;
    if (header == 0) {
      frame[RX_CHECKSUM] = frame[RX_GSO_TYPE] = frame[RX_GSO_SIZE] = 0;
    } else if (!read_vnet(big_at, length, frame)) {
      port->rx[RX_BAD]++;
      continue;
    }
    n++;
    if (length <= room) {
      memcpy(small_at, big_at + header, length);
      frame[RX_IN_BIG] = -1;
    } else {
      frame[RX_IN_BIG] = big_used++;
    }
  }
  if (n > 0) stay_awake(port);
  return int_value(env, n);
}

/* ---- writing ---- */

/* transmit(port, count): frames the device took or refused for good (TX_FAILED); short when it is full, and Writable will be told. */
static napi_value port_transmit(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  arguments(env, info, 2, argv);
  struct port *port = port_of(env, argv[0]);
  if (port == NULL) return int_value(env, 0);
  state_t *state = port->state;
  int count = int_of(env, argv[1]), n = 0;
  if (count > port->batch) count = port->batch;
  port->tx[TX_FAILED] = port->tx[TX_ERRNO] = 0;
  while (n < count) {
    const int32_t *frame = port->tx + TX_FRAMES + TX_FRAME * n;
    struct virtio_net_hdr_mrg_rxbuf h;
    struct iovec iov[1 + TX_PIECES_MAX];
    int pieces = frame[TX_COUNT], first = 0;
    bool valid = pieces >= 0 && pieces <= TX_PIECES_MAX;
    if (port->header > 0) {
      memset(&h, 0, sizeof h);
      h.hdr.flags = frame[TX_PARTIAL] ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
      h.hdr.gso_type = (uint8_t)frame[TX_GSO_TYPE];
      h.hdr.gso_size = (uint16_t)frame[TX_GSO_SIZE];
      h.hdr.hdr_len = (uint16_t)frame[TX_HEADERS];
      h.hdr.csum_start = (uint16_t)frame[TX_CSUM_START];
      h.hdr.csum_offset = (uint16_t)frame[TX_CSUM_OFFSET];
      iov[first++] = (struct iovec){&h, port->header};
    }
    for (int i = 0; valid && i < pieces; i++) {
      const int32_t *piece = frame + TX_PIECES + 3 * i;
      uint8_t *at = page_range(state, piece[0], piece[1], (size_t)piece[2]);
      if (at == NULL) valid = false;
      iov[first + i] = (struct iovec){at, (size_t)piece[2]};
    }
    if (valid) {
      if (writev(port->fd, iov, first + pieces) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == ENOBUFS) {
          set_interest(port, port->interest | UV_POLL_WRITABLE);
          break;
        }
        port->tx[TX_FAILED]++;
        port->tx[TX_ERRNO] = errno;
      }
    } else {
      port->tx[TX_FAILED]++;
      port->tx[TX_ERRNO] = EFAULT;
    }
    n++;
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

void ports_init(napi_env env, napi_value exports) {
  export_function(env, exports, "port", port_new);
  export_function(env, exports, "receive", port_receive);
  export_function(env, exports, "transmit", port_transmit);
  export_function(env, exports, "interest", port_interest);
  export_function(env, exports, "busyPoll", port_busy);
  export_function(env, exports, "portClose", port_end);
}
