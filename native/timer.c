/*
 * A timer of the kernel's precision. libuv's own count whole milliseconds, too coarse for pacing; a timerfd wakes its
 * loop within tens of microseconds.
 */
#include "anystack.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct timer {
  state_t *state;
  struct timer *next;
  uv_handle_t *poll;
  int fd;
  callback_t callback;
};

static void due(uv_handle_t *handle, int status, int events) {
  struct timer *timer = uv_handle_get_data(handle);
  uint64_t expirations;
  (void)status;
  (void)events;
  if (read(timer->fd, &expirations, sizeof expirations) <= 0) return;
  callback_call(timer->state->env, &timer->callback, 0, NULL);
}

void timer_close(struct timer *timer) {
  state_t *state = timer->state;
  struct timer **link = &state->timers;
  while (*link != timer) link = &(*link)->next;
  *link = timer->next;
  uv_poll_stop(timer->poll);
  handle_close(state, timer->poll);
  close(timer->fd);
  callback_clear(state->env, &timer->callback);
  free(timer);
}

static struct timer *timer_of(napi_env env, napi_value value) {
  void *timer = NULL;
  napi_get_value_external(env, value, &timer);
  return timer;
}

/* timer(fire: () => void): an external, or a negative errno. It does not keep the process alive. */
static napi_value timer_new(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[1], result;
  struct timer *timer = calloc(1, sizeof *timer);
  arguments(env, info, 1, argv);
  if (timer == NULL) return int_value(env, -12);
  timer->state = state;
  timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  timer->poll = timer->fd < 0 ? NULL : handle_new(state, UV_KIND_POLL, timer);
  if (timer->poll == NULL) {
    if (timer->fd >= 0) close(timer->fd);
    free(timer);
    return int_value(env, -24);
  }
  uv_poll_init(state->loop, timer->poll, timer->fd);
  uv_unref(timer->poll);
  uv_poll_start(timer->poll, UV_POLL_READABLE, due);
  callback_set(env, &timer->callback, argv[0], "anystack.timer");
  timer->next = state->timers;
  state->timers = timer;
  napi_create_external(env, timer, NULL, NULL, &result);
  return result;
}

/* timerSet(timer, at: microseconds of CLOCK_MONOTONIC): replaces the time set before; Infinity takes it back. */
static napi_value timer_set(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  double at = 0;
  struct itimerspec when = {{0, 0}, {0, 0}};
  arguments(env, info, 2, argv);
  napi_get_value_double(env, argv[1], &at);
  if (at < 1) at = 1; /* a zero would take it back */
  if (at < 9e15) {
    when.it_value.tv_sec = (time_t)(at / 1e6);
    when.it_value.tv_nsec = (long)((at - (double)when.it_value.tv_sec * 1e6) * 1e3);
  }
  timerfd_settime(timer_of(env, argv[0])->fd, TFD_TIMER_ABSTIME, &when, NULL);
  return NULL;
}

static napi_value timer_end(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  timer_close(timer_of(env, argv[0]));
  return NULL;
}

void timers_init(napi_env env, napi_value exports) {
  export_function(env, exports, "timer", timer_new);
  export_function(env, exports, "timerSet", timer_set);
  export_function(env, exports, "timerClose", timer_end);
}
