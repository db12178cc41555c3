/* A libcuda.so.1 without a card, for the real cuda-bindings to call: the functions this project
 * uses, with the driver's own signatures. Device memory is host memory. A handle of the wrong kind
 * is CUDA_ERROR_INVALID_HANDLE (400), one of another context CUDA_ERROR_INVALID_CONTEXT (201).
 * STUB_FAIL=cuMemAlloc:2 lets a function return a code, STUB_LACKS=cuCtxCreate_v4 leaves one out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 0x77001, STREAM, EVENT, GRAPH, EXECUTABLE };
enum { SUCCESS = 0, INVALID_VALUE = 1, INVALID_CONTEXT = 201, INVALID_HANDLE = 400 };
typedef struct { void *target; const void *source; size_t size; } Copy;
typedef struct Object {
    int kind, capturing, count;
    struct Object *context;
    float time;
    Copy work[16];
} Object;

static __thread Object *stack[16];
static __thread int depth;
static int left;
static float now;

int stub_left(void) { return left + depth; }

static Object *current(void) { return depth ? stack[depth - 1] : NULL; }

static int due(const char *function) {
    const char *plan = getenv("STUB_FAIL");
    size_t length = strlen(function);
    if (plan && !strncmp(plan, function, length) && plan[length] == ':')
        return atoi(plan + length + 1);
    return SUCCESS;
}
#define ENTER() do { int code = due(__func__); if (code) return code; } while (0)
#define NEED_CONTEXT() do { ENTER(); if (!current()) return INVALID_CONTEXT; } while (0)
#define NEED(object, wanted) do { int code = check(object, wanted); if (code) return code; } while (0)

static int check(const Object *object, int kind) {
    if (!object || object->kind != kind) return INVALID_HANDLE;
    return kind == CONTEXT || object->context == current() ? SUCCESS : INVALID_CONTEXT;
}
static int create(Object **object, int kind) {
    *object = calloc(1, sizeof(Object));
    (*object)->kind = kind;
    (*object)->context = current();
    left++;
    return SUCCESS;
}
static int destroy(Object *object) {
    object->kind = 0; /* kept: using it again is found out */
    left--;
    return SUCCESS;
}
static int queue(Object *stream, void *target, const void *source, size_t size) {
    NEED(stream, STREAM);
    now += 0.5f;
    if (stream->capturing) stream->work[stream->count++] = (Copy){target, source, size};
    else if (source) memcpy(target, source, size);
    else memset(target, 0, size);
    return SUCCESS;
}

int cuInit(unsigned flags) { ENTER(); return flags ? INVALID_VALUE : SUCCESS; }
int cuDriverGetVersion(int *version) { ENTER(); *version = 13020; return SUCCESS; }
int cuGetErrorName(int code, const char **name) { *name = "stub"; return code ? SUCCESS : SUCCESS; }
int cuDeviceGetCount(int *count) { ENTER(); *count = 2; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) {
    ENTER();
    *device = ordinal;
    return ordinal == 0 || ordinal == 1 ? SUCCESS : 101;
}
int cuDeviceGetName(char *name, int length, int device) {
    ENTER();
    snprintf(name, length, "Stub %d", device);
    return SUCCESS;
}
int cuDeviceGetPCIBusId(char *name, int length, int device) {
    ENTER();
    snprintf(name, length, "0000:%02X:00.0", device + 1);
    return SUCCESS;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    ENTER();
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 + 3 * device : -1;
    return SUCCESS;
}
static int new_context(Object **context, unsigned flags, int device) {
    (void)device;
    if (flags) return INVALID_VALUE;
    create(context, CONTEXT);
    stack[depth++] = *context;
    return SUCCESS;
}
int cuCtxCreate_v2(Object **context, unsigned flags, int device) {
    ENTER();
    return new_context(context, flags, device);
}
int cuCtxCreate_v4(Object **context, void *params, unsigned flags, int device) {
    ENTER();
    return params ? INVALID_VALUE : new_context(context, flags, device);
}
int cuCtxDestroy_v2(Object *context) { ENTER(); NEED(context, CONTEXT); return destroy(context); }
int cuCtxPushCurrent_v2(Object *context) {
    ENTER();
    NEED(context, CONTEXT);
    stack[depth++] = context;
    return SUCCESS;
}
int cuCtxPopCurrent_v2(Object **context) { NEED_CONTEXT(); *context = stack[--depth]; return SUCCESS; }
int cuCtxGetCurrent(Object **context) { ENTER(); *context = current(); return SUCCESS; }
int cuMemGetInfo_v2(size_t *free_, size_t *total) {
    NEED_CONTEXT();
    *free_ = 7000000000, *total = 8000000000;
    return SUCCESS;
}
static int allocate(void **pointer, size_t size) {
    if (!size) return INVALID_VALUE;
    *pointer = aligned_alloc(512, (size + 511) / 512 * 512);
    left++;
    return SUCCESS;
}
static int give_back(void *pointer) { free(pointer); left--; return SUCCESS; }
int cuMemAlloc_v2(void **pointer, size_t size) { NEED_CONTEXT(); return allocate(pointer, size); }
int cuMemFree_v2(void *pointer) { NEED_CONTEXT(); return give_back(pointer); }
int cuMemHostAlloc(void **pointer, size_t size, unsigned flags) {
    NEED_CONTEXT();
    return flags == 1 ? allocate(pointer, size) : INVALID_VALUE;
}
int cuMemFreeHost(void *pointer) { NEED_CONTEXT(); return give_back(pointer); }
int cuMemcpyHtoDAsync_v2(void *target, const void *source, size_t size, Object *stream) {
    NEED_CONTEXT();
    return queue(stream, target, source, size);
}
int cuMemcpyDtoHAsync_v2(void *target, void *source, size_t size, Object *stream) {
    NEED_CONTEXT();
    return queue(stream, target, source, size);
}
int cuMemcpyDtoDAsync_v2(void *target, void *source, size_t size, Object *stream) {
    NEED_CONTEXT();
    return queue(stream, target, source, size);
}
int cuMemsetD8Async(void *target, unsigned char value, size_t size, Object *stream) {
    NEED_CONTEXT();
    return value ? INVALID_VALUE : queue(stream, target, NULL, size);
}
int cuStreamCreate(Object **stream, unsigned flags) {
    NEED_CONTEXT();
    return flags == 1 ? create(stream, STREAM) : INVALID_VALUE;
}
int cuStreamDestroy_v2(Object *stream) { NEED_CONTEXT(); NEED(stream, STREAM); return destroy(stream); }
int cuStreamSynchronize(Object *stream) { NEED_CONTEXT(); return check(stream, STREAM); }
int cuEventCreate(Object **event, unsigned flags) {
    NEED_CONTEXT();
    return flags ? INVALID_VALUE : create(event, EVENT);
}
int cuEventDestroy_v2(Object *event) { NEED_CONTEXT(); NEED(event, EVENT); return destroy(event); }
int cuEventRecord(Object *event, Object *stream) {
    NEED_CONTEXT();
    NEED(event, EVENT);
    event->time = now;
    return check(stream, STREAM);
}
int cuEventSynchronize(Object *event) { NEED_CONTEXT(); return check(event, EVENT); }
int cuEventElapsedTime(float *milliseconds, Object *start, Object *end) {
    NEED_CONTEXT();
    NEED(start, EVENT);
    NEED(end, EVENT);
    *milliseconds = end->time - start->time;
    return SUCCESS;
}
int cuEventElapsedTime_v2(float *milliseconds, Object *start, Object *end) {
    return cuEventElapsedTime(milliseconds, start, end);
}
int cuStreamBeginCapture_v2(Object *stream, int mode) {
    NEED_CONTEXT();
    NEED(stream, STREAM);
    stream->capturing = 1, stream->count = 0;
    return mode == 1 ? SUCCESS : INVALID_VALUE;
}
int cuStreamEndCapture(Object *stream, Object **graph) {
    NEED_CONTEXT();
    NEED(stream, STREAM);
    create(graph, GRAPH);
    stream->capturing = 0;
    (*graph)->count = stream->count;
    memcpy((*graph)->work, stream->work, sizeof stream->work);
    return SUCCESS;
}
int cuGraphInstantiateWithFlags(Object **executable, Object *graph, unsigned long long flags) {
    NEED_CONTEXT();
    NEED(graph, GRAPH);
    create(executable, EXECUTABLE);
    (*executable)->count = graph->count;
    memcpy((*executable)->work, graph->work, sizeof graph->work);
    return flags ? INVALID_VALUE : SUCCESS;
}
int cuGraphDestroy(Object *graph) { ENTER(); return graph->kind == GRAPH ? destroy(graph) : INVALID_HANDLE; }
int cuGraphExecDestroy(Object *executable) {
    ENTER();
    return executable->kind == EXECUTABLE ? destroy(executable) : INVALID_HANDLE;
}
int cuGraphLaunch(Object *executable, Object *stream) {
    NEED_CONTEXT();
    NEED(executable, EXECUTABLE);
    for (int i = 0; i < executable->count; i++) {
        Copy *copy = &executable->work[i];
        int code = queue(stream, copy->target, copy->source, copy->size);
        if (code) return code;
    }
    return SUCCESS;
}

/* The bindings ask for a base name and the CUDA version in which the wanted form appeared. */
static void *form(const char *symbol, const char *suffix) {
    char name[128];
    const char *lacks = getenv("STUB_LACKS");
    Dl_info here;
    snprintf(name, sizeof name, "%s%s", symbol, suffix);
    if (lacks && !strcmp(lacks, name)) return NULL;
    dladdr((void *)form, &here);
    return dlsym(dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD), name);
}
int cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags, int *status) {
    (void)flags, (void)status;
    if (!strcmp(symbol, "cuGraphInstantiate")) symbol = "cuGraphInstantiateWithFlags";
    if (!strcmp(symbol, "cuCtxCreate")) {
        *function = form(symbol, version < 12050 ? "_v2" : "_v4");
        return SUCCESS;
    }
    *function = form(symbol, "_v2");
    if (!*function) *function = form(symbol, "");
    return SUCCESS;
}
