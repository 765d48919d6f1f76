/*
 * The addon: what Node cannot do itself. Plain Node-API, and of libuv only a few functions declared in uv.h here, so
 * that it compiles with any Node's headers and loads in any Node from 20 on.
 */
#ifndef ANYSTACK_H
#define ANYSTACK_H

#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"

/* Memory that JavaScript lent us by number. Nothing here outlives a call: the page is alive because its caller holds it. */
typedef struct {
  uint8_t *data;
  size_t length;
} page_t;

struct port;
struct timer;
struct transform;

/* All the addon owns in one environment (main thread or worker). */
typedef struct {
  napi_env env;
  uv_loop_t *loop;
  page_t *pages;
  int pages_made, pages_room;
  int pages_free; /* head of a chain through page_t.length, -1 at its end */
  struct port **ports;
  int ports_room;
  struct timer *timers;
  uv_handle_t *timer_poll; /* of the one timerfd of all timers; NULL without timers */
  int timer_fd;
  double armed; /* what it is set for, INFINITY for nothing */
  struct transform **transforms;
  int transforms_room;
  int handles; /* libuv handles not closed yet */
  bool closing;
  napi_async_cleanup_hook_handle cleanup;
} state_t;

state_t *state_of(napi_env env);
/* The range [offset, offset + length) of page `handle`, or NULL when there is no such range. */
uint8_t *page_range(const state_t *state, int32_t handle, int32_t offset, size_t length);
/* A handle of `kind` whose data is `owner`; counted until handle_close has finished. */
uv_handle_t *handle_new(state_t *state, int kind, void *owner);
void handle_close(state_t *state, uv_handle_t *handle);

void aead_init(napi_env env, napi_value exports);
void transforms_close(state_t *state);
void port_close(struct port *port);
void ports_init(napi_env env, napi_value exports);
void tap_init(napi_env env, napi_value exports);
void timer_close(struct timer *timer);
void timers_init(napi_env env, napi_value exports);

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);
/* Arguments of a call, missing ones undefined. */
void arguments(napi_env env, napi_callback_info info, size_t count, napi_value *into);
int32_t int_of(napi_env env, napi_value value);
napi_value int_value(napi_env env, int32_t value);
double microseconds(int clock);
/* A JavaScript function called from libuv with its own async context, so that microtasks drain when it returns. */
typedef struct {
  napi_ref function;
  napi_async_context context;
} callback_t;
void callback_set(napi_env env, callback_t *callback, napi_value function, const char *name);
void callback_clear(napi_env env, callback_t *callback);
void callback_call(napi_env env, const callback_t *callback, size_t count, const int32_t *values);

#endif
