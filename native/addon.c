/* Entry, pages, clocks, and what the other files share. */
#include "anystack.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

state_t *state_of(napi_env env) {
  void *state = NULL;
  napi_get_instance_data(env, &state);
  return state;
}

void arguments(napi_env env, napi_callback_info info, size_t count, napi_value *into) {
  napi_get_cb_info(env, info, &count, into, NULL, NULL);
}

int32_t int_of(napi_env env, napi_value value) {
  int32_t result = 0;
  napi_get_value_int32(env, value, &result);
  return result;
}

napi_value int_value(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

/* ---- callbacks ---- */

void callback_set(napi_env env, callback_t *callback, napi_value function, const char *name) {
  napi_value resource_name;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource_name);
  napi_create_reference(env, function, 1, &callback->function);
  napi_async_init(env, NULL, resource_name, &callback->context);
}

void callback_clear(napi_env env, callback_t *callback) {
  if (callback->function == NULL) return;
  napi_delete_reference(env, callback->function);
  napi_async_destroy(env, callback->context);
  callback->function = NULL;
}

void callback_call(napi_env env, const callback_t *callback, size_t count, const int32_t *values) {
  napi_handle_scope scope;
  napi_value function, receiver, argv[4];
  if (callback->function == NULL) return;
  napi_open_handle_scope(env, &scope);
  napi_get_reference_value(env, callback->function, &function);
  napi_get_undefined(env, &receiver);
  for (size_t i = 0; i < count; i++) argv[i] = int_value(env, values[i]);
  /* The receiver must be an object. */
  napi_get_global(env, &receiver);
  if (napi_make_callback(env, callback->context, receiver, function, count, argv, NULL) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* ---- libuv handles ---- */

uv_handle_t *handle_new(state_t *state, int kind, void *owner) {
  uv_handle_t *handle = calloc(1, uv_handle_size(kind));
  if (handle == NULL) return NULL;
  uv_handle_set_data(handle, owner);
  state->handles++;
  return handle;
}

static void cleaned(state_t *state) {
  if (!state->closing || state->handles > 0) return;
  napi_async_cleanup_hook_handle cleanup = state->cleanup;
  free(state->pages);
  free(state->ports);
  free(state);
  napi_remove_async_cleanup_hook(cleanup);
}

static void handle_closed(uv_handle_t *handle) {
  state_t *state = uv_handle_get_data(handle);
  free(handle);
  state->handles--;
  cleaned(state);
}

void handle_close(state_t *state, uv_handle_t *handle) {
  uv_handle_set_data(handle, state);
  uv_close(handle, handle_closed);
}

/* The environment ends (a worker stops, the process exits): libuv wants all handles closed before its loop. */
static void cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  state_t *state = data;
  (void)handle;
  state->closing = true;
  napi_set_instance_data(state->env, NULL, NULL, NULL); /* pages finalised later find nothing to do */
  state->handles++;
  for (int i = 0; i < state->ports_room; i++) {
    if (state->ports[i] != NULL) port_close(state->ports[i]);
  }
  while (state->timers != NULL) timer_close(state->timers);
  transforms_close(state);
  state->handles--;
  cleaned(state);
}

/* ---- pages ---- */

uint8_t *page_range(const state_t *state, int32_t handle, int32_t offset, size_t length) {
  if (handle < 0 || handle >= state->pages_made || offset < 0) return NULL;
  const page_t *page = &state->pages[handle];
  if (page->data == NULL || (size_t)offset > page->length || length > page->length - (size_t)offset) return NULL;
  return page->data + offset;
}

/* The typed array was collected: its number serves the next page. */
static void page_gone(napi_env env, void *data, void *hint) {
  state_t *state = state_of(env);
  int handle = (int)(intptr_t)data;
  (void)hint;
  if (state == NULL || state->closing) return;
  state->pages[handle].data = NULL;
  state->pages[handle].length = (size_t)state->pages_free;
  state->pages_free = handle;
}

/* page(bytes: Uint8Array): its number, or -1 without memory. The number lives as long as the array. */
static napi_value page(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[1];
  void *data = NULL;
  size_t length = 0;
  int handle;
  arguments(env, info, 1, argv);
  if (napi_get_typedarray_info(env, argv[0], NULL, &length, &data, NULL, NULL) != napi_ok) return int_value(env, -1);
  if (state->pages_free >= 0) {
    handle = state->pages_free;
    state->pages_free = (int)state->pages[handle].length;
  } else {
    if (state->pages_made == state->pages_room) {
      int room = state->pages_room == 0 ? 64 : 2 * state->pages_room;
      page_t *pages = realloc(state->pages, (size_t)room * sizeof *pages);
      if (pages == NULL) return int_value(env, -1);
      state->pages = pages;
      state->pages_room = room;
    }
    handle = state->pages_made++;
  }
  state->pages[handle].data = data;
  state->pages[handle].length = length;
  napi_add_finalizer(env, argv[0], (void *)(intptr_t)handle, page_gone, NULL, NULL);
  return int_value(env, handle);
}

/* ---- clocks ---- */

double microseconds(int clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e6 + (double)(now.tv_nsec / 1000);
}

static napi_value monotonic(napi_env env, napi_callback_info info) {
  napi_value result;
  (void)info;
  napi_create_double(env, microseconds(CLOCK_MONOTONIC), &result);
  return result;
}

static napi_value boot_time(napi_env env, napi_callback_info info) {
  napi_value result;
  (void)info;
  napi_create_double(env, microseconds(CLOCK_BOOTTIME), &result);
  return result;
}

NAPI_MODULE_INIT() {
  state_t *state = calloc(1, sizeof *state);
  if (state == NULL) return NULL;
  state->env = env;
  state->pages_free = -1;
  napi_get_uv_event_loop(env, (struct uv_loop_s **)&state->loop);
  napi_set_instance_data(env, state, NULL, NULL);
  napi_add_async_cleanup_hook(env, cleanup, state, &state->cleanup);
  export_function(env, exports, "page", page);
  export_function(env, exports, "monotonic", monotonic);
  export_function(env, exports, "bootTime", boot_time);
  aead_init(env, exports);
  ports_init(env, exports);
  tap_init(env, exports);
  timers_init(env, exports);
  return exports;
}
