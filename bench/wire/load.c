/*
 * Load for the wire benches, on sockets of the Linux kernel:
 *   load flood ADDRESS PORT OCTETS SECONDS            sends datagrams as fast as it can; prints datagrams per second
 *   load echo  ADDRESS PORT OCTETS SECONDS WINDOW     keeps WINDOW datagrams under way; prints answers per second and the median round trip in us
 *   load sink  ADDRESS PORT SECONDS                   counts what arrives from the first datagram on; prints datagrams per second
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SAMPLES = 1 << 20 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  const char *mode = argv[1];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
  inet_pton(AF_INET, argv[2], &address.sin_addr);
  int s = socket(AF_INET, SOCK_DGRAM, 0), big = 8 << 20;
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
  setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  static char buffers[BATCH][2048];
  struct iovec iov[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  int sink = strcmp(mode, "sink") == 0;
  size_t octets = sink ? 2048 : (size_t)atoi(argv[4]);
  for (int i = 0; i < BATCH; i++) {
    iov[i] = (struct iovec){buffers[i], octets};
    messages[i].msg_hdr.msg_iov = &iov[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  double seconds = atof(argv[sink ? 4 : 5]);
  long count = 0;
  if (sink) {
    if (bind(s, (struct sockaddr *)&address, sizeof address) < 0) return 1;
    recv(s, buffers[0], 2048, 0);
    double begin = now();
    while (now() - begin < seconds) {
      int n = recvmmsg(s, messages, BATCH, MSG_DONTWAIT, NULL);
      if (n > 0) count += n;
      else poll(&(struct pollfd){s, POLLIN, 0}, 1, 10);
    }
    printf("%.0f\n", (double)count / seconds);
    return 0;
  }
  if (connect(s, (struct sockaddr *)&address, sizeof address) < 0) return 1;
  double begin = now();
  if (strcmp(mode, "flood") == 0) {
    while (now() - begin < seconds) {
      int n = sendmmsg(s, messages, BATCH, 0);
      if (n > 0) count += n;
    }
    printf("%.0f\n", (double)count / seconds);
    return 0;
  }
  int window = argc > 6 ? atoi(argv[6]) : 1;
  static float samples[SAMPLES];
  long sampled = 0;
  int under_way = 0;
  double last = begin;
  while (now() - begin < seconds) {
    while (under_way < window) {
      double t = now();
      memcpy(buffers[0], &t, sizeof t);
      if (send(s, buffers[0], octets, 0) < 0) break;
      under_way++;
    }
    int n = recvmmsg(s, messages, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0) {
      poll(&(struct pollfd){s, POLLIN, 0}, 1, 10);
      if (now() - last > 0.05) under_way = 0; /* lost */
      continue;
    }
    last = now();
    count += n;
    under_way -= n;
    for (int i = 0; i < n; i++) {
      double t;
      memcpy(&t, buffers[i], sizeof t);
      if (sampled < SAMPLES) samples[sampled++] = (float)((last - t) * 1e6);
    }
  }
  qsort(samples, (size_t)sampled, sizeof *samples, compare);
  printf("%.0f %.1f\n", (double)count / seconds, sampled == 0 ? 0 : (double)samples[sampled / 2]);
  return 0;
}
