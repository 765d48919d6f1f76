/* Opening a TAP or TUN: the device, its offloads, and the host's side of it (up, MTU, addresses), in any network namespace. */
#include "anystack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of newer kernels' if_tun.h. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { NAME_MAX_ = 64, PATH_MAX_ = 256 };

typedef struct {
  char name[NAME_MAX_], netns[PATH_MAX_];
  bool tun, offload, queues;
  int mtu;
  /* results */
  int fd, link_fd, index, flags, offloads;
  uint8_t mac[6];
  const char *step; /* what failed */
} tap_t;

static int failed(tap_t *tap, const char *step) {
  tap->step = step;
  return -errno;
}

/* The best set of offloads that this kernel takes: USO since 6.2, the rest for ever. */
static void set_offloads(tap_t *tap) {
  static const int sets[] = {
      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
      TUN_F_CSUM,
      0,
  };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    if (ioctl(tap->fd, TUNSETOFFLOAD, (unsigned long)sets[i]) < 0) continue;
    tap->offloads = sets[i];
    return;
  }
}

/* The host's side. Only what differs is changed: a prepared device is then usable without any privilege. */
static int set_host(tap_t *tap, int control) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  memcpy(r.ifr_name, tap->name, IFNAMSIZ);
  if (ioctl(control, SIOCGIFINDEX, &r) < 0) return failed(tap, "SIOCGIFINDEX");
  tap->index = r.ifr_ifindex;
  if (!tap->tun) {
    if (ioctl(control, SIOCGIFHWADDR, &r) < 0) return failed(tap, "SIOCGIFHWADDR");
    memcpy(tap->mac, r.ifr_hwaddr.sa_data, 6);
  }
  if (ioctl(control, SIOCGIFMTU, &r) < 0) return failed(tap, "SIOCGIFMTU");
  if (tap->mtu != 0 && tap->mtu != r.ifr_mtu) {
    r.ifr_mtu = tap->mtu;
    if (ioctl(control, SIOCSIFMTU, &r) < 0) return failed(tap, "SIOCSIFMTU");
  }
  tap->mtu = r.ifr_mtu;

  if (ioctl(control, SIOCGIFFLAGS, &r) < 0) return failed(tap, "SIOCGIFFLAGS");
  if (!(r.ifr_flags & IFF_UP)) {
    r.ifr_flags |= IFF_UP;
    /* Without the privilege it stays down until an administrator brings it up; that is told as carrier. */
    if (ioctl(control, SIOCSIFFLAGS, &r) < 0) {
      if (errno != EPERM) return failed(tap, "SIOCSIFFLAGS");
      r.ifr_flags &= ~IFF_UP;
    }
  }
  tap->flags = r.ifr_flags;
  return 0;
}

/*
 * What we write is received by a thread of the kernel's, which merges what has come meanwhile (GRO), instead of frame by frame in our system
 * call: worth 40 % of a core where frames are plain. By sysfs alone, of which a mount that is nowhere attached shows this namespace.
 */
static void receive_threaded(const tap_t *tap) {
  char path[32 + IFNAMSIZ];
  int files = (int)syscall(SYS_fsopen, "sysfs", 1), tree = -1;
  if (files >= 0 && syscall(SYS_fsconfig, files, 6, NULL, NULL, 0) == 0) tree = (int)syscall(SYS_fsmount, files, 1, 0);
  if (files >= 0) close(files);
  if (tree < 0) return;
  snprintf(path, sizeof path, "class/net/%.*s/threaded", IFNAMSIZ, tap->name);
  int threaded = openat(tree, path, O_WRONLY | O_CLOEXEC);
  if (threaded >= 0) {
    /* One that cannot be had is no loss but of speed. */
    (void)!write(threaded, "1", 1);
    close(threaded);
  }
  close(tree);
}

static int watch_link(void) {
  struct sockaddr_nl address;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  memset(&address, 0, sizeof address);
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static int open_here(void *argument) {
  tap_t *tap = argument;
  struct ifreq r;
  int header = 10, error, control;
  tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap->fd < 0) return failed(tap, "open");
  memset(&r, 0, sizeof r);
  memcpy(r.ifr_name, tap->name, IFNAMSIZ - 1);
  r.ifr_flags = (short)((tap->tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI | (tap->offload ? IFF_VNET_HDR : IFF_NAPI) | (tap->queues ? IFF_MULTI_QUEUE : 0));
  if (ioctl(tap->fd, TUNSETIFF, &r) < 0) return failed(tap, "TUNSETIFF");
  memcpy(tap->name, r.ifr_name, IFNAMSIZ);
  if (tap->offload) {
    /* A header of an earlier owner of a persistent device may differ. */
    if (ioctl(tap->fd, TUNSETVNETHDRSZ, &header) < 0) return failed(tap, "TUNSETVNETHDRSZ");
    set_offloads(tap);
  } else {
    receive_threaded(tap);
  }
  tap->link_fd = watch_link();
  control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return failed(tap, "socket");
  error = set_host(tap, control);
  close(control);
  return error;
}

/* Namespaces belong to threads: this one visits the other and comes back before JavaScript goes on. An empty path is our own. */
static int inside(const char *netns, const char **step, int (*there)(void *), void *argument) {
  if (netns[0] == 0) return there(argument);
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int other = open(netns, O_RDONLY | O_CLOEXEC);
  int error = home < 0 || other < 0 ? -errno : 0;
  *step = "open netns";
  if (error == 0 && setns(other, CLONE_NEWNET) < 0) {
    error = -errno;
    *step = "setns";
  }
  if (error == 0) {
    error = there(argument);
    if (setns(home, CLONE_NEWNET) < 0) abort(); /* all that follows would happen on the wrong machine */
  }
  if (other >= 0) close(other);
  if (home >= 0) close(home);
  return error;
}

typedef struct {
  const void *message;
  size_t length;
} request_t;

static int request_here(void *argument) {
  const request_t *request = argument;
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[256];
  } answer;
  int error = 0, netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink < 0 || send(netlink, request->message, request->length, 0) < 0) error = -errno;
  else if (recv(netlink, &answer, sizeof answer, 0) < (ssize_t)NLMSG_LENGTH(sizeof answer.error)) error = -EPROTO;
  else error = answer.error.error;
  if (netlink >= 0) close(netlink);
  return error;
}

static void set_int(napi_env env, napi_value object, const char *name, int value) {
  napi_set_named_property(env, object, name, int_value(env, value));
}

/*
 * tapOpen(name, netns, tun, offload, queues, mtu): { fd, linkFd, index, up, mtu, offloads, name, mac }
 * or { error: errno, step }. An empty netns is our own; an empty name lets the kernel choose; mtu 0 keeps it.
 */
static napi_value tap_open(napi_env env, napi_callback_info info) {
  napi_value argv[6], result, value;
  tap_t tap;
  arguments(env, info, 6, argv);
  memset(&tap, 0, sizeof tap);
  tap.fd = tap.link_fd = -1;
  napi_get_value_string_utf8(env, argv[0], tap.name, sizeof tap.name, NULL);
  napi_get_value_string_utf8(env, argv[1], tap.netns, sizeof tap.netns, NULL);
  napi_get_value_bool(env, argv[2], &tap.tun);
  napi_get_value_bool(env, argv[3], &tap.offload);
  napi_get_value_bool(env, argv[4], &tap.queues);
  tap.mtu = int_of(env, argv[5]);

  int error = inside(tap.netns, &tap.step, open_here, &tap);
  napi_create_object(env, &result);
  if (error < 0) {
    if (tap.fd >= 0) close(tap.fd);
    if (tap.link_fd >= 0) close(tap.link_fd);
    set_int(env, result, "error", -error);
    napi_create_string_utf8(env, tap.step, NAPI_AUTO_LENGTH, &value);
    napi_set_named_property(env, result, "step", value);
    return result;
  }
  set_int(env, result, "fd", tap.fd);
  set_int(env, result, "linkFd", tap.link_fd);
  set_int(env, result, "index", tap.index);
  set_int(env, result, "up", (tap.flags & IFF_UP) != 0);
  set_int(env, result, "mtu", tap.mtu);
  set_int(env, result, "offloads", tap.offloads);
  napi_create_string_utf8(env, tap.name, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, result, "name", value);
  napi_create_array_with_length(env, 6, &value);
  for (uint32_t i = 0; i < 6; i++) napi_set_element(env, value, i, int_value(env, tap.mac[i]));
  napi_set_named_property(env, result, "mac", value);
  return result;
}

/* netlink(netns, message: Uint8Array): one rtnetlink request that asks for an acknowledgement; 0 or a negative errno. */
static napi_value netlink(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  char netns[PATH_MAX_] = "";
  const char *step;
  void *message = NULL;
  request_t request = {NULL, 0};
  arguments(env, info, 2, argv);
  napi_get_value_string_utf8(env, argv[0], netns, sizeof netns, NULL);
  if (napi_get_typedarray_info(env, argv[1], NULL, &request.length, &message, NULL, NULL) != napi_ok) return int_value(env, -EINVAL);
  request.message = message;
  return int_value(env, inside(netns, &step, request_here, &request));
}

void tap_init(napi_env env, napi_value exports) {
  export_function(env, exports, "netlink", netlink);
  export_function(env, exports, "tapOpen", tap_open);
}
