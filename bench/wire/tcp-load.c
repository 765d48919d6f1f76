/*
 * TCP load for the wire benches, on sockets of the Linux kernel, and the peer our figures stand beside:
 *   tcp-load send  ADDRESS PORT SECONDS CONNECTIONS      writes as fast as it can; prints MB/s that were acknowledged, and least/greatest of the connections
 *   tcp-load recv  ADDRESS PORT SECONDS CONNECTIONS      reads as fast as it can; the same
 *   tcp-load ping  ADDRESS PORT SECONDS                  one octet there and back; prints round trips per second
 *   tcp-load open  ADDRESS PORT SECONDS WINDOW           connects, WINDOW under way at once, reads the end, closes; prints connections per second
 *   tcp-load mixed ADDRESS PORT SECONDS LONG SHORT       LONG connections write to PORT; SHORT at once dial PORT+2, send an octet, hear it back and close; prints
 *                                                        MB/s of the long ones, and of the short ones the 99th percentile in ms and how many there were
 *   tcp-load syn   ADDRESS PORT SECONDS RATE             SYNs from addresses of 198.18.0.0/15 and ports by chance, RATE a second; prints how many a second it was
 *   tcp-load serve PORT                                  discard on PORT, chargen on PORT+1, echo on PORT+2, accept-and-close on PORT+3
 *   tcp-load join  NETNS NAME NETNS NAME vnet|plain      makes two TAPs and moves frames between them, with the vnet header and offloads or without
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, BUFFER = 1 << 20, EVENTS = 64 };
static char buffer[BUFFER];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int dial(const char *address, int port, int flags) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  inet_pton(AF_INET, address, &to.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(s, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect");
  return s;
}

static void bulk(const char *address, int port, double seconds, int count, int sending) {
  int s[CONNECTIONS_MAX];
  double octets[CONNECTIONS_MAX] = {0};
  struct pollfd p[CONNECTIONS_MAX];
  for (int i = 0; i < count; i++) {
    s[i] = dial(address, port, 0);
    fcntl(s[i], F_SETFL, O_NONBLOCK);
    p[i] = (struct pollfd){s[i], sending ? POLLOUT : POLLIN, 0};
  }
  double begin = now(), start = begin + seconds * 0.2, end = begin + seconds * 1.2;
  int counting = 0;
  while (now() < end) {
    poll(p, (nfds_t)count, 100);
    if (!counting && now() >= start) {
      counting = 1;
      start = now();
      for (int i = 0; i < count; i++) octets[i] = 0;
    }
    for (int i = 0; i < count; i++) {
      if (!p[i].revents) continue;
      ssize_t n = sending ? send(s[i], buffer, 262144, MSG_NOSIGNAL) : recv(s[i], buffer, BUFFER, 0);
      if (n > 0) octets[i] += (double)n;
      else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) die(sending ? "send" : "recv");
    }
  }
  double took = now() - start, sum = 0, least = octets[0], most = octets[0];
  for (int i = 0; i < count; i++) {
    sum += octets[i];
    if (octets[i] < least) least = octets[i];
    if (octets[i] > most) most = octets[i];
  }
  printf("%.1f %.3f\n", sum / took / 1e6, most > 0 ? least / most : 0);
}

static void pingpong(const char *address, int port, double seconds) {
  int s = dial(address, port, 0);
  long count = 0;
  double begin = now();
  while (now() - begin < seconds) {
    if (send(s, buffer, 1, 0) != 1 || recv(s, buffer, 1, 0) != 1) die("ping");
    count++;
  }
  printf("%.0f\n", (double)count / (now() - begin));
}

static void open_close(const char *address, int port, double seconds, int window) {
  int e = epoll_create1(0);
  long done = 0, failed = 0;
  struct linger reset = {1, 0}; /* no TIME-WAIT here: the ports would run out */
  double begin = now();
  for (int i = 0; i < window; i++) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = dial(address, port, SOCK_NONBLOCK)};
    epoll_ctl(e, EPOLL_CTL_ADD, event.data.fd, &event);
  }
  while (now() - begin < seconds) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(e, events, EVENTS, 100);
    for (int i = 0; i < n; i++) {
      ssize_t r = recv(events[i].data.fd, buffer, 64, 0);
      if (r > 0) continue;
      if (r == 0) done++;
      else failed++;
      setsockopt(events[i].data.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      close(events[i].data.fd);
      struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = dial(address, port, SOCK_NONBLOCK)};
      epoll_ctl(e, EPOLL_CTL_ADD, event.data.fd, &event);
    }
  }
  printf("%.0f %ld\n", (double)done / (now() - begin), failed);
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void mixed(const char *address, int port, double seconds, int longs, int shorts) {
  static struct { double since; char is_long; } state[65536];
  static double took[1 << 20];
  int e = epoll_create1(0), n_took = 0;
  double octets = 0, begin = now(), start = begin + seconds * 0.2, end = begin + seconds * 1.2;
  struct linger reset = {1, 0};
  for (int i = 0; i < longs + shorts; i++) {
    int s = dial(address, i < longs ? port : port + 2, SOCK_NONBLOCK);
    state[s].since = now();
    state[s].is_long = i < longs;
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = s};
    epoll_ctl(e, EPOLL_CTL_ADD, s, &event);
  }
  while (now() < end) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(e, events, EVENTS, 100);
    for (int i = 0; i < n; i++) {
      int s = events[i].data.fd;
      if (state[s].is_long) {
        ssize_t sent = send(s, buffer, 65536, MSG_NOSIGNAL);
        if (sent > 0 && now() >= start) octets += (double)sent;
        continue;
      }
      if (events[i].events & EPOLLOUT) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = s};
        if (send(s, buffer, 1, MSG_NOSIGNAL) == 1) epoll_ctl(e, EPOLL_CTL_MOD, s, &event);
        continue;
      }
      char octet[16];
      if (recv(s, octet, sizeof octet, 0) < 0 && errno == EAGAIN) continue;
      if (state[s].since >= start && n_took < 1 << 20) took[n_took++] = (now() - state[s].since) * 1e3;
      setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      close(s);
      s = dial(address, port + 2, SOCK_NONBLOCK);
      state[s].since = now();
      state[s].is_long = 0;
      struct epoll_event event = {.events = EPOLLOUT, .data.fd = s};
      epoll_ctl(e, EPOLL_CTL_ADD, s, &event);
    }
  }
  qsort(took, (size_t)n_took, sizeof *took, compare);
  printf("%.1f %.3f %d\n", octets / (now() - start) / 1e6, n_took == 0 ? 0 : took[n_took * 99 / 100], n_took);
}

static uint32_t words(const void *data, size_t octets, uint32_t total) {
  const uint8_t *at = data;
  for (size_t i = 0; i + 1 < octets; i += 2) total += (uint32_t)at[i] << 8 | at[i + 1];
  return total;
}

static void syn_flood(const char *address, int port, double seconds, double rate) {
  struct __attribute__((packed)) {
    struct iphdr ip;
    uint16_t from, to;
    uint32_t seq, ack;
    uint8_t offset, flags;
    uint16_t window, checksum, urgent;
    uint8_t options[20];
  } f = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons(60)}, .offset = 0xa0, .flags = 2, .window = 0xffff};
  const uint8_t options[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
  struct sockaddr_in to = {.sin_family = AF_INET};
  inet_pton(AF_INET, address, &to.sin_addr);
  int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (s < 0) die("raw socket");
  memcpy(f.options, options, sizeof options);
  f.ip.daddr = to.sin_addr.s_addr;
  f.to = htons((uint16_t)port);
  uint32_t chance = 1;
  double begin = now(), sent = 0;
  for (double at = begin; at - begin < seconds; at = now()) {
    /* What the clock allows, at most a burst of 64. */
    for (int burst = 0; burst < 64 && sent < (at - begin) * rate; burst++, sent++) {
      chance = chance * 1664525 + 1013904223;
      f.ip.saddr = htonl(0xc6120000 | (chance >> 15));
      f.from = htons((uint16_t)(1024 + (chance >> 8) % 60000));
      f.seq = chance;
      f.checksum = 0;
      uint32_t total = words(&f.ip.saddr, 48, IPPROTO_TCP + 40);
      while (total >> 16) total = (total & 0xffff) + (total >> 16);
      f.checksum = htons((uint16_t)~total);
      if (sendto(s, &f, sizeof f, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno != ENOBUFS) die("sendto");
    }
    if (sent >= (at - begin) * rate) usleep(100);
  }
  printf("%.0f\n", sent / seconds);
}

static void serve(int port) {
  int e = epoll_create1(0), listeners[4], one = 1;
  static signed char kind[65536];
  memset(kind, -1, sizeof kind);
  for (int i = 0; i < 4; i++) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)(port + i))};
    listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listeners[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listeners[i], (struct sockaddr *)&at, sizeof at) < 0 || listen(listeners[i], 1024) < 0) die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listeners[i]};
    epoll_ctl(e, EPOLL_CTL_ADD, listeners[i], &event);
  }
  for (;;) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(e, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd, which = -1;
      for (int k = 0; k < 4; k++)
        if (fd == listeners[k]) which = k;
      if (which >= 0) {
        for (int c; (c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
          setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          if (which == 3) {
            close(c);
            continue;
          }
          kind[c] = (signed char)which;
          struct epoll_event event = {.events = which == 1 ? EPOLLOUT : EPOLLIN, .data.fd = c};
          epoll_ctl(e, EPOLL_CTL_ADD, c, &event);
        }
        continue;
      }
      ssize_t r = kind[fd] == 1 ? send(fd, buffer, 262144, MSG_NOSIGNAL) : recv(fd, buffer, BUFFER, 0);
      if (r == 0 || (r < 0 && errno != EAGAIN)) close(fd);
      else if (r > 0 && kind[fd] == 2 && send(fd, buffer, (size_t)r, MSG_NOSIGNAL) < 0) close(fd);
    }
  }
}

static int tap(const char *netns, const char *name, int vnet) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", netns);
  int ns = open(path, O_RDONLY);
  if (ns < 0 || setns(ns, CLONE_NEWNET) < 0) die(path);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0))};
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (ioctl(fd, TUNSETIFF, &request) < 0) die("TUNSETIFF");
  if (vnet && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) die("TUNSETOFFLOAD");
  return fd;
}

static void join(char **argv) {
  int vnet = strcmp(argv[6], "vnet") == 0;
  struct pollfd p[2];
  for (int i = 0; i < 2; i++) p[i] = (struct pollfd){tap(argv[2 + 2 * i], argv[3 + 2 * i], vnet), POLLIN, 0};
  puts("joined");
  fflush(stdout);
  static char frame[70000];
  for (;;) {
    poll(p, 2, -1);
    for (int i = 0; i < 2; i++) {
      for (int n = 0; n < 64; n++) {
        ssize_t length = read(p[i].fd, frame, sizeof frame);
        if (length <= 0) break;
        (void)!write(p[1 - i].fd, frame, (size_t)length);
      }
    }
  }
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(atoi(argv[2]));
  if (argc == 7 && strcmp(argv[1], "join") == 0) join(argv);
  if (argc < 5) return 2;
  const char *mode = argv[1];
  int port = atoi(argv[3]);
  double seconds = atof(argv[4]);
  if (strcmp(mode, "send") == 0) bulk(argv[2], port, seconds, atoi(argv[5]), 1);
  else if (strcmp(mode, "recv") == 0) bulk(argv[2], port, seconds, atoi(argv[5]), 0);
  else if (strcmp(mode, "mixed") == 0) mixed(argv[2], port, seconds, atoi(argv[5]), atoi(argv[6]));
  else if (strcmp(mode, "syn") == 0) syn_flood(argv[2], port, seconds, atof(argv[5]));
  else if (strcmp(mode, "ping") == 0) pingpong(argv[2], port, seconds);
  else if (strcmp(mode, "open") == 0) open_close(argv[2], port, seconds, atoi(argv[5]));
  return 0;
}
