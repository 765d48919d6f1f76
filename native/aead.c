/*
 * Packets sealed and opened in batches by OpenSSL, with the keys of each SA set up once. The functions are those that
 * Node itself exports; they are looked up when the addon loads, so that no header or version of OpenSSL is built in.
 * What a batch consists of is written in an Int32Array (layout below and in src/hyper/crypto.ts).
 */
#include "anystack.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_HANDLE, JOB_TRANSFORM, JOB_OFFSET, JOB_LENGTH, JOB_TAG, JOB_NONCE, JOB_AAD, JOB_AAD_LENGTH, JOB_SUFFIX_LENGTH, JOB_OK, JOB_WORDS = 16 };

enum { BLOCK = 16, TAG_MAX = 64, NAME_MAX_ = 32, KEY_MAX = 128 };

/* ---- OpenSSL's ---- */

typedef struct {
  const char *key;
  unsigned int type;
  void *data;
  size_t size, returned;
} param_t; /* OSSL_PARAM */

enum { PARAM_UTF8 = 4, CTRL_SET_IVLEN = 9, CTRL_GET_TAG = 16, CTRL_SET_TAG = 17 };

typedef struct {
  void *(*ctx_new)(void);
  void (*ctx_free)(void *);
  int (*ctx_ctrl)(void *, int, int, void *);
  int (*ctx_padding)(void *, int);
  int (*encrypt_init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
  int (*decrypt_init)(void *, const void *, void *, const uint8_t *, const uint8_t *);
  int (*encrypt)(void *, uint8_t *, int *, const uint8_t *, int);
  int (*decrypt)(void *, uint8_t *, int *, const uint8_t *, int);
  int (*encrypt_final)(void *, uint8_t *, int *);
  int (*decrypt_final)(void *, uint8_t *, int *);
  void *(*mac_fetch)(void *, const char *, const char *);
  void (*mac_free)(void *);
  void *(*mac_new)(void *);
  void (*mac_ctx_free)(void *);
  int (*mac_init)(void *, const uint8_t *, size_t, const param_t *);
  int (*mac_update)(void *, const uint8_t *, size_t);
  int (*mac_final)(void *, uint8_t *, size_t *, size_t);
} evp_t;

static const char *const evp_names[] = {
    "EVP_CIPHER_CTX_new",  "EVP_CIPHER_CTX_free", "EVP_CIPHER_CTX_ctrl", "EVP_CIPHER_CTX_set_padding", "EVP_EncryptInit_ex", "EVP_DecryptInit_ex",
    "EVP_EncryptUpdate",   "EVP_DecryptUpdate",   "EVP_EncryptFinal_ex", "EVP_DecryptFinal_ex",        "EVP_MAC_fetch",      "EVP_MAC_free",
    "EVP_MAC_CTX_new",     "EVP_MAC_CTX_free",    "EVP_MAC_init",        "EVP_MAC_update",             "EVP_MAC_final",
};

/* Filled once, before JavaScript can call: the same in all threads. */
static evp_t evp;

static bool resolve(void) {
  void **functions = (void **)&evp;
  for (size_t i = 0; i < sizeof evp_names / sizeof *evp_names; i++) {
    functions[i] = dlsym(RTLD_DEFAULT, evp_names[i]);
    if (functions[i] == NULL) return false;
  }
  return true;
}

/* ---- keys ---- */

typedef enum { CIPHER_NULL, CIPHER_PLAIN, CIPHER_GCM, CIPHER_CCM, CIPHER_CHACHA, CIPHER_GMAC } kind_t;

static const struct {
  const char *name, *function;
  kind_t kind;
  size_t key;
} ciphers[] = {
    {"aes-128-gcm", "EVP_aes_128_gcm", CIPHER_GCM, 16},   {"aes-192-gcm", "EVP_aes_192_gcm", CIPHER_GCM, 24},
    {"aes-256-gcm", "EVP_aes_256_gcm", CIPHER_GCM, 32},   {"aes-128-gmac", "EVP_aes_128_gcm", CIPHER_GMAC, 16},
    {"aes-192-gmac", "EVP_aes_192_gcm", CIPHER_GMAC, 24}, {"aes-256-gmac", "EVP_aes_256_gcm", CIPHER_GMAC, 32},
    {"aes-128-ccm", "EVP_aes_128_ccm", CIPHER_CCM, 16},   {"aes-192-ccm", "EVP_aes_192_ccm", CIPHER_CCM, 24},
    {"aes-256-ccm", "EVP_aes_256_ccm", CIPHER_CCM, 32},   {"chacha20-poly1305", "EVP_chacha20_poly1305", CIPHER_CHACHA, 32},
    {"aes-128-cbc", "EVP_aes_128_cbc", CIPHER_PLAIN, 16}, {"aes-192-cbc", "EVP_aes_192_cbc", CIPHER_PLAIN, 24},
    {"aes-256-cbc", "EVP_aes_256_cbc", CIPHER_PLAIN, 32}, {"aes-128-ctr", "EVP_aes_128_ctr", CIPHER_PLAIN, 16},
    {"aes-192-ctr", "EVP_aes_192_ctr", CIPHER_PLAIN, 24}, {"aes-256-ctr", "EVP_aes_256_ctr", CIPHER_PLAIN, 32},
    {"null", NULL, CIPHER_NULL, 0},
};

struct transform {
  kind_t kind;
  size_t tag;
  void *encrypt, *decrypt; /* EVP_CIPHER_CTX */
  void *mac;               /* EVP_MAC_CTX of an HMAC, or */
  void *block;             /* XCBC's AES in ECB mode, with its other two keys */
  uint8_t whole[BLOCK], padded[BLOCK];
};

static void transform_free(struct transform *t) {
  if (t == NULL) return;
  if (t->encrypt != NULL) evp.ctx_free(t->encrypt); /* these zero what they held */
  if (t->decrypt != NULL) evp.ctx_free(t->decrypt);
  if (t->mac != NULL) evp.mac_ctx_free(t->mac);
  if (t->block != NULL) evp.ctx_free(t->block);
  explicit_bzero(t, sizeof *t);
  free(t);
}

/* A context for one direction with its key; NULL when OpenSSL refuses. */
static void *cipher_ctx(const struct transform *t, const void *cipher, const uint8_t *key, bool encrypt) {
  void *ctx = evp.ctx_new();
  int (*init)(void *, const void *, void *, const uint8_t *, const uint8_t *) = encrypt ? evp.encrypt_init : evp.decrypt_init;
  bool good = ctx != NULL && init(ctx, cipher, NULL, NULL, NULL) == 1;
  if (good && t->kind == CIPHER_CCM) {
    good = evp.ctx_ctrl(ctx, CTRL_SET_IVLEN, 11, NULL) == 1 && evp.ctx_ctrl(ctx, CTRL_SET_TAG, (int)t->tag, NULL) == 1; /* RFC 4309 §4 */
  }
  good = good && init(ctx, NULL, NULL, key, NULL) == 1;
  if (good && t->kind == CIPHER_PLAIN) evp.ctx_padding(ctx, 0);
  if (good) return ctx;
  if (ctx != NULL) evp.ctx_free(ctx);
  return NULL;
}

static bool block_encrypt(void *ctx, uint8_t *into, const uint8_t *from) {
  int length = 0;
  return evp.encrypt(ctx, into, &length, from, BLOCK) == 1;
}

/* RFC 3566 §4: K1, K2, K3 are AES of blocks of ones, twos and threes. */
static bool xcbc_keys(struct transform *t, const uint8_t *key) {
  const void *(*ecb)(void) = (const void *(*)(void))dlsym(RTLD_DEFAULT, "EVP_aes_128_ecb");
  struct transform plain = {.kind = CIPHER_PLAIN};
  uint8_t pattern[BLOCK], chain[BLOCK];
  void *ctx;
  bool good = false;
  if (ecb == NULL || (ctx = cipher_ctx(&plain, ecb(), key, true)) == NULL) return false;
  memset(pattern, 1, BLOCK);
  if (block_encrypt(ctx, chain, pattern)) {
    memset(pattern, 2, BLOCK);
    good = block_encrypt(ctx, t->whole, pattern);
    memset(pattern, 3, BLOCK);
    good = good && block_encrypt(ctx, t->padded, pattern);
  }
  evp.ctx_free(ctx);
  t->block = good ? cipher_ctx(&plain, ecb(), chain, true) : NULL;
  explicit_bzero(chain, sizeof chain);
  return t->block != NULL;
}

static bool hmac_key(struct transform *t, const char *digest, const uint8_t *key, size_t length) {
  void *mac = evp.mac_fetch(NULL, "HMAC", NULL);
  param_t params[2] = {{"digest", PARAM_UTF8, (void *)digest, strlen(digest), (size_t)-1}, {NULL, 0, NULL, 0, 0}};
  if (mac == NULL) return false;
  t->mac = evp.mac_new(mac);
  evp.mac_free(mac); /* the context holds it */
  return t->mac != NULL && evp.mac_init(t->mac, key, length, params) == 1;
}

static bool mac_key(struct transform *t, const char *name, const uint8_t *key, size_t length) {
  if (strcmp(name, "hmac-sha1") == 0) return hmac_key(t, "SHA1", key, length);
  if (strcmp(name, "hmac-sha256") == 0) return hmac_key(t, "SHA256", key, length);
  if (strcmp(name, "hmac-sha384") == 0) return hmac_key(t, "SHA384", key, length);
  if (strcmp(name, "hmac-sha512") == 0) return hmac_key(t, "SHA512", key, length);
  if (strcmp(name, "aes-xcbc") == 0 && length == BLOCK) return xcbc_keys(t, key);
  return false;
}

static struct transform *transform_of(const char *cipher, const uint8_t *key, size_t key_length, const char *mac, const uint8_t *mac_octets, size_t mac_length, int tag) {
  struct transform *t;
  size_t i = 0;
  while (i < sizeof ciphers / sizeof *ciphers && strcmp(ciphers[i].name, cipher) != 0) i++;
  if (i == sizeof ciphers / sizeof *ciphers || ciphers[i].key != key_length || tag < 4 || tag > TAG_MAX) return NULL;
  if ((t = calloc(1, sizeof *t)) == NULL) return NULL;
  t->kind = ciphers[i].kind;
  t->tag = (size_t)tag;
  bool separate = t->kind == CIPHER_NULL || t->kind == CIPHER_PLAIN;
  bool good = separate == (mac[0] != 0) && (separate || tag <= BLOCK);
  if (good && ciphers[i].function != NULL) {
    const void *(*cipher_of)(void) = (const void *(*)(void))dlsym(RTLD_DEFAULT, ciphers[i].function);
    good = cipher_of != NULL && (t->encrypt = cipher_ctx(t, cipher_of(), key, true)) != NULL && (t->decrypt = cipher_ctx(t, cipher_of(), key, false)) != NULL;
  }
  if (good && separate) good = mac_key(t, mac, mac_octets, mac_length);
  if (good) return t;
  transform_free(t);
  return NULL;
}

/* ---- one job ---- */

typedef struct {
  uint8_t *data, *tag;
  const uint8_t *nonce, *aad, *suffix;
  int length, aad_length, suffix_length;
} job_t;

static bool xcbc(struct transform *t, const job_t *job, uint8_t *tag) {
  /* The three parts as one stream of blocks; the last block has a key of its own, by whether it was filled up. RFC 3566 §4. */
  const uint8_t *parts[3] = {job->aad, job->data, job->suffix};
  const int lengths[3] = {job->aad_length, job->length, job->suffix_length};
  uint8_t state[BLOCK] = {0};
  int filled = 0;
  for (int i = 0; i < 3; i++) {
    for (int n = 0; n < lengths[i]; n++) {
      if (filled == BLOCK) {
        if (!block_encrypt(t->block, state, state)) return false;
        filled = 0;
      }
      state[filled++] ^= parts[i][n];
    }
  }
  const uint8_t *last = filled == BLOCK ? t->whole : t->padded;
  if (filled < BLOCK) state[filled] ^= 0x80;
  for (int i = 0; i < BLOCK; i++) state[i] ^= last[i];
  return block_encrypt(t->block, tag, state);
}

/* The whole MAC into `tag`, which has TAG_MAX octets. */
static bool mac(struct transform *t, const job_t *job, uint8_t *tag) {
  size_t length = 0;
  if (t->block != NULL) return xcbc(t, job, tag);
  return evp.mac_init(t->mac, NULL, 0, NULL) == 1 && evp.mac_update(t->mac, job->aad, (size_t)job->aad_length) == 1 &&
         evp.mac_update(t->mac, job->data, (size_t)job->length) == 1 && evp.mac_update(t->mac, job->suffix, (size_t)job->suffix_length) == 1 &&
         evp.mac_final(t->mac, tag, &length, TAG_MAX) == 1 && length >= t->tag;
}

static bool seal(struct transform *t, const job_t *job) {
  uint8_t whole[TAG_MAX];
  int n = 0;
  switch (t->kind) {
    case CIPHER_PLAIN:
      if (evp.encrypt_init(t->encrypt, NULL, NULL, NULL, job->nonce) != 1 || evp.encrypt(t->encrypt, job->data, &n, job->data, job->length) != 1) return false;
      /* fall through */
    case CIPHER_NULL:
      if (!mac(t, job, whole)) return false;
      memcpy(job->tag, whole, t->tag);
      return true;
    case CIPHER_CCM:
      if (evp.encrypt_init(t->encrypt, NULL, NULL, NULL, job->nonce) != 1 || evp.encrypt(t->encrypt, NULL, &n, NULL, job->length) != 1) return false;
      break;
    default:
      if (evp.encrypt_init(t->encrypt, NULL, NULL, NULL, job->nonce) != 1) return false;
  }
  if (job->aad_length > 0 && evp.encrypt(t->encrypt, NULL, &n, job->aad, job->aad_length) != 1) return false;
  if (evp.encrypt(t->encrypt, t->kind == CIPHER_GMAC ? NULL : job->data, &n, job->data, job->length) != 1) return false;
  return evp.encrypt_final(t->encrypt, whole, &n) == 1 && evp.ctx_ctrl(t->encrypt, CTRL_GET_TAG, (int)t->tag, job->tag) == 1;
}

static bool open_aead(struct transform *t, const job_t *job) {
  uint8_t rest[BLOCK];
  int n = 0;
  if (t->kind == CIPHER_CCM) {
    /* CCM wants the tag before it sees the data. */
    if (evp.ctx_ctrl(t->decrypt, CTRL_SET_TAG, (int)t->tag, job->tag) != 1 || evp.decrypt_init(t->decrypt, NULL, NULL, NULL, job->nonce) != 1) return false;
    if (evp.decrypt(t->decrypt, NULL, &n, NULL, job->length) != 1) return false;
  } else if (evp.decrypt_init(t->decrypt, NULL, NULL, NULL, job->nonce) != 1) {
    return false;
  }
  if (job->aad_length > 0 && evp.decrypt(t->decrypt, NULL, &n, job->aad, job->aad_length) != 1) return false;
  if (evp.decrypt(t->decrypt, t->kind == CIPHER_GMAC ? NULL : job->data, &n, job->data, job->length) != 1) return false;
  if (t->kind == CIPHER_CCM) return true;
  return evp.ctx_ctrl(t->decrypt, CTRL_SET_TAG, (int)t->tag, job->tag) == 1 && evp.decrypt_final(t->decrypt, rest, &n) == 1;
}

static bool open_job(struct transform *t, const job_t *job) {
  uint8_t whole[TAG_MAX];
  uint8_t wrong = 0;
  int n = 0;
  if (t->kind != CIPHER_NULL && t->kind != CIPHER_PLAIN) return open_aead(t, job);
  if (!mac(t, job, whole)) return false;
  for (size_t i = 0; i < t->tag; i++) wrong |= (uint8_t)(whole[i] ^ job->tag[i]); /* no early exit: the time tells nothing */
  if (wrong != 0) return false;
  if (t->kind == CIPHER_NULL) return true;
  return evp.decrypt_init(t->decrypt, NULL, NULL, NULL, job->nonce) == 1 && evp.decrypt(t->decrypt, job->data, &n, job->data, job->length) == 1;
}

/* ---- the batch ---- */

/* seal|open(words: Int32Array, count, scratch: page handle) */
static void run(napi_env env, napi_callback_info info, bool (*one)(struct transform *, const job_t *)) {
  state_t *state = state_of(env);
  napi_value argv[3];
  void *data = NULL;
  size_t length = 0;
  arguments(env, info, 3, argv);
  if (napi_get_typedarray_info(env, argv[0], NULL, &length, &data, NULL, NULL) != napi_ok) return;
  int32_t count = int_of(env, argv[1]), scratch = int_of(env, argv[2]);
  if (count < 0 || (size_t)count > length / JOB_WORDS) return;
  for (int32_t i = 0; i < count; i++) {
    int32_t *w = (int32_t *)data + (size_t)i * JOB_WORDS;
    job_t job = {.length = w[JOB_LENGTH], .aad_length = w[JOB_AAD_LENGTH], .suffix_length = w[JOB_SUFFIX_LENGTH]};
    w[JOB_OK] = 0;
    if (job.length < 0 || job.aad_length < 0 || job.suffix_length < 0) continue;
    if (w[JOB_TRANSFORM] < 0 || w[JOB_TRANSFORM] >= state->transforms_room || state->transforms[w[JOB_TRANSFORM]] == NULL) continue;
    struct transform *t = state->transforms[w[JOB_TRANSFORM]];
    job.data = page_range(state, w[JOB_HANDLE], w[JOB_OFFSET], (size_t)job.length);
    job.tag = page_range(state, w[JOB_HANDLE], w[JOB_TAG], t->tag);
    job.nonce = page_range(state, scratch, w[JOB_NONCE], BLOCK);
    job.aad = page_range(state, scratch, w[JOB_AAD], (size_t)job.aad_length + (size_t)job.suffix_length);
    if (job.data == NULL || job.tag == NULL || job.nonce == NULL || job.aad == NULL) continue;
    job.suffix = job.aad + job.aad_length;
    w[JOB_OK] = one(t, &job);
  }
}

static napi_value seal_batch(napi_env env, napi_callback_info info) {
  run(env, info, seal);
  return NULL;
}

static napi_value open_batch(napi_env env, napi_callback_info info) {
  run(env, info, open_job);
  return NULL;
}

static size_t octets_of(napi_env env, napi_value value, const uint8_t **data) {
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, NULL, &length, (void **)data, NULL, NULL) != napi_ok) return 0;
  return length;
}

/* transform(cipher, key, mac: '' for none, macKey, tagLength): its number, or -1. */
static napi_value transform_new(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[5];
  char cipher[NAME_MAX_] = "", mac_name[NAME_MAX_] = "";
  const uint8_t *key = NULL, *mac_octets = NULL;
  int id = 0;
  arguments(env, info, 5, argv);
  napi_get_value_string_utf8(env, argv[0], cipher, sizeof cipher, NULL);
  napi_get_value_string_utf8(env, argv[2], mac_name, sizeof mac_name, NULL);
  size_t key_length = octets_of(env, argv[1], &key), mac_length = octets_of(env, argv[3], &mac_octets);
  if (key_length > KEY_MAX || mac_length > KEY_MAX) return int_value(env, -1);
  while (id < state->transforms_room && state->transforms[id] != NULL) id++;
  if (id == state->transforms_room) {
    int room = state->transforms_room == 0 ? 64 : 2 * state->transforms_room;
    struct transform **grown = realloc(state->transforms, (size_t)room * sizeof *grown);
    if (grown == NULL) return int_value(env, -1);
    memset(grown + state->transforms_room, 0, (size_t)(room - state->transforms_room) * sizeof *grown);
    state->transforms = grown;
    state->transforms_room = room;
  }
  state->transforms[id] = transform_of(cipher, key, key_length, mac_name, mac_octets, mac_length, int_of(env, argv[4]));
  return int_value(env, state->transforms[id] == NULL ? -1 : id);
}

/* transformClose(id) */
static napi_value transform_end(napi_env env, napi_callback_info info) {
  state_t *state = state_of(env);
  napi_value argv[1];
  arguments(env, info, 1, argv);
  int32_t id = int_of(env, argv[0]);
  if (id < 0 || id >= state->transforms_room) return NULL;
  transform_free(state->transforms[id]);
  state->transforms[id] = NULL;
  return NULL;
}

void transforms_close(state_t *state) {
  for (int i = 0; i < state->transforms_room; i++) transform_free(state->transforms[i]);
  free(state->transforms);
  state->transforms = NULL;
  state->transforms_room = 0;
}

/* Without OpenSSL's functions the addon exports none of this, and node:crypto serves. */
void aead_init(napi_env env, napi_value exports) {
  if (!resolve()) return;
  export_function(env, exports, "transform", transform_new);
  export_function(env, exports, "transformClose", transform_end);
  export_function(env, exports, "seal", seal_batch);
  export_function(env, exports, "open", open_batch);
}
