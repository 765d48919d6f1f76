/*
 * The part of libuv's stable ABI that the addon uses. Node exports these symbols, but npm's node-api-headers does not
 * bring uv.h; handles stay opaque and are sized at run time, so no structure is copied here.
 */
#ifndef ANYSTACK_LOOP_H
#define ANYSTACK_LOOP_H

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_opaque uv_handle_t;

/* Values of libuv 1.x, fixed by its ABI. */
enum { UV_KIND_IDLE = 6, UV_KIND_POLL = 8 };
enum { UV_POLL_READABLE = 1, UV_POLL_WRITABLE = 2 };

size_t uv_handle_size(int kind);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, void (*closed)(uv_handle_t *));

int uv_poll_init(uv_loop_t *loop, uv_handle_t *poll, int fd);
int uv_poll_start(uv_handle_t *poll, int events, void (*ready)(uv_handle_t *, int status, int events));
int uv_poll_stop(uv_handle_t *poll);

int uv_idle_init(uv_loop_t *loop, uv_handle_t *idle);
int uv_idle_start(uv_handle_t *idle, void (*turn)(uv_handle_t *));
int uv_idle_stop(uv_handle_t *idle);

#endif
