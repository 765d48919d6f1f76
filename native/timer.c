/*
 * Timers of the kernel's precision. libuv's own count whole milliseconds, too coarse for pacing: asked for 100 to 1,500 us
 * they come 370 us early to 1,050 us late, a timerfd 50 to 60 us late, and setting one costs the same. One descriptor
 * serves all timers of an environment: thousands of stacks live in one process.
 */
#include "anystack.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* In a list of all; the external that JavaScript holds owns it. */
struct timer {
  state_t *state;
  struct timer *next;
  double at; /* INFINITY while not set */
  /* Held strongly while set, so that an idle host can be collected and a waiting one is not. */
  callback_t callback;
};

static void arm(state_t *state, double at) {
  struct itimerspec when = {{0, 0}, {0, 0}};
  state->armed = at;
  if (at < 1) at = 1; /* a zero would take it back */
  if (at < 9e15) {
    when.it_value.tv_sec = (time_t)(at / 1e6);
    when.it_value.tv_nsec = (long)((at - (double)when.it_value.tv_sec * 1e6) * 1e3);
  }
  timerfd_settime(state->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void set(struct timer *timer, double at) {
  if (at < INFINITY && !(timer->at < INFINITY)) napi_reference_ref(timer->state->env, timer->callback.function, NULL);
  if (!(at < INFINITY) && timer->at < INFINITY) napi_reference_unref(timer->state->env, timer->callback.function, NULL);
  timer->at = at;
}

/* The callbacks may set, add and take away timers: the list is looked through anew after each. */
static void due(uv_handle_t *handle, int status, int events) {
  state_t *state = uv_handle_get_data(handle);
  uint64_t expirations;
  (void)status;
  (void)events;
  if (read(state->timer_fd, &expirations, sizeof expirations) <= 0) return;
  state->armed = INFINITY;
  const double now = microseconds(CLOCK_MONOTONIC);
  /* One that sets itself for the past again is fired in a later turn: as often as there are timers, and no more. */
  int left = 0;
  for (struct timer *t = state->timers; t != NULL; t = t->next) left += t->at <= now;
  while (left-- > 0) {
    struct timer *t = state->timers;
    while (t != NULL && t->at > now) t = t->next;
    if (t == NULL) break;
    napi_handle_scope scope;
    napi_value keep;
    napi_open_handle_scope(state->env, &scope);
    napi_get_reference_value(state->env, t->callback.function, &keep);
    set(t, INFINITY);
    callback_call(state->env, &t->callback, 0, NULL);
    napi_close_handle_scope(state->env, scope);
    if (state->closing) return;
  }
  double next = INFINITY;
  for (struct timer *t = state->timers; t != NULL; t = t->next) next = t->at < next ? t->at : next;
  if (next < state->armed) arm(state, next);
}

void timer_close(struct timer *timer) {
  state_t *state = timer->state;
  struct timer **link = &state->timers;
  while (*link != NULL && *link != timer) link = &(*link)->next;
  if (*link == NULL) return;
  *link = timer->next;
  callback_clear(state->env, &timer->callback);
  timer->at = INFINITY;
  if (state->timers == NULL && state->timer_poll != NULL) {
    uv_poll_stop(state->timer_poll);
    handle_close(state, state->timer_poll);
    close(state->timer_fd);
    state->timer_poll = NULL;
  }
}

/* The external was collected. After the environment's cleanup its timers are closed already. */
static void timer_gone(napi_env env, void *data, void *hint) {
  (void)hint;
  if (state_of(env) != NULL) timer_close(data);
  free(data);
}

static bool open_timerfd(state_t *state) {
  if (state->timer_poll != NULL) return true;
  state->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (state->timer_fd < 0) return false;
  state->timer_poll = handle_new(state, UV_KIND_POLL, state);
  uv_poll_init(state->loop, state->timer_poll, state->timer_fd);
  uv_unref(state->timer_poll);
  uv_poll_start(state->timer_poll, UV_POLL_READABLE, due);
  state->armed = INFINITY;
  return true;
}

static struct timer *timer_of(napi_env env, napi_value value) {
  void *timer = NULL;
  napi_get_value_external(env, value, &timer);
  return timer;
}

/* timer(fire: () => void): an external, or a negative errno. It does not keep the process alive, nor, while not set, `fire`. */
static napi_value timer_new(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[1], result;
  arguments(env, info, 1, argv);
  if (!open_timerfd(state)) return int_value(env, -errno);
  struct timer *timer = calloc(1, sizeof *timer);
  if (timer == NULL) return int_value(env, -ENOMEM);
  timer->state = state;
  timer->at = INFINITY;
  callback_set(env, &timer->callback, argv[0], "anystack.timer");
  napi_reference_unref(env, timer->callback.function, NULL);
  timer->next = state->timers;
  state->timers = timer;
  napi_create_external(env, timer, timer_gone, NULL, &result);
  return result;
}

/* timerSet(timer, at: microseconds of CLOCK_MONOTONIC): replaces the time set before; Infinity takes it back. */
static napi_value timer_set(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  double at = INFINITY;
  arguments(env, info, 2, argv);
  napi_get_value_double(env, argv[1], &at);
  struct timer *timer = timer_of(env, argv[0]);
  if (timer->callback.function == NULL) return NULL;
  set(timer, at);
  if (at < timer->state->armed) arm(timer->state, at);
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
