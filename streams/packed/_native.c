/* The compiled half of streams/packed: walks Kafka records and looks keys up without making a
 * Python object of each. Its twin is streams/packed/pure.py; tests/unit/test_packed.py holds them
 * equal. Nothing here knows CloudTrail, Avro or windows.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* -- records ---------------------------------------------------------------------------------- */

enum { OFFSET_DELTA, TIMESTAMP_DELTA, KEY_AT, KEY_SIZE, VALUE_AT, VALUE_SIZE, COLUMNS };

/* Read a zigzag varint of up to 64 bits; return 0 where the bytes end before it does. */
static int
read_varint(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    const uint8_t *p = *at;
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *at = p;
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 1;
        }
    }
    return 0;
}

/* Read a length and skip that many bytes; a length below 0 is null and has none. */
static int
read_bytes(const uint8_t **at, const uint8_t *end, const uint8_t **bytes, int64_t *size)
{
    if (!read_varint(at, end, size))
        return 0;
    *bytes = *at;
    if (*size < 0)
        *size = -1;
    else if (*size > end - *at)
        return 0;
    else
        *at += *size;
    return 1;
}

/* Read one record (KIP-98, message format v2): length, attributes, timestamp delta, offset delta,
 * key, value; its headers are skipped. */
static int
read_record(const uint8_t **at, const uint8_t *end, const uint8_t *base, int64_t *column,
            Py_ssize_t stride)
{
    int64_t length, size;
    const uint8_t *bytes, *next;
    if (!read_varint(at, end, &length) || length < 1 || length > end - *at)
        return 0;
    next = *at + length;
    *at += 1;
    if (!read_varint(at, next, &column[TIMESTAMP_DELTA * stride]) ||
        !read_varint(at, next, &column[OFFSET_DELTA * stride]))
        return 0;
    for (int place = KEY_AT; place <= VALUE_AT; place += 2) {
        if (!read_bytes(at, next, &bytes, &size))
            return 0;
        column[place * stride] = bytes - base;
        column[(place + 1) * stride] = size;
    }
    *at = next;
    return 1;
}

static PyObject *
walk(PyObject *module, PyObject *args)
{
    Py_buffer buffer, out;
    Py_ssize_t start, stop, count, done = 0;
    if (!PyArg_ParseTuple(args, "y*nnnw*", &buffer, &start, &stop, &count, &out))
        return NULL;
    if (start < 0 || start > stop || stop > buffer.len || count < 0 ||
        out.len != count * COLUMNS * (Py_ssize_t)sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "expected 6 int64 columns of count values");
    }
    else {
        const uint8_t *base = buffer.buf, *at = base + start, *end = base + stop;
        int64_t *columns = out.buf;
        while (done < count && read_record(&at, end, base, columns + done, count))
            done++;
        if (done < count)
            PyErr_Format(PyExc_ValueError, "record %zd of %zd is cut or damaged", done, count);
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&out);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* Lines of a fetch are far from the processor: ask for those of a string before its turn. */
enum { AHEAD = 16, LINE = 64 };

static void
prefetch(const char *bytes, int64_t size)
{
#if defined(__GNUC__)
    for (int64_t line = 0; line < size; line += LINE)
        __builtin_prefetch(bytes + line);
#endif
}

static int
is_within(const Py_buffer *buffer, int64_t at, int64_t size)
{
    return 0 <= at && at <= buffer->len && size <= buffer->len - at;
}

static void
prefetch_string(const Py_buffer *buffer, int64_t at, int64_t size)
{
    if (is_within(buffer, at, size))
        prefetch((char *)buffer->buf + at, size);
}

/* Copy the first bytes of each string of one column; rows of shorter ones are left as they are. */
static PyObject *
heads(PyObject *module, PyObject *args)
{
    Py_buffer buffer, at, size, out;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &buffer, &at, &size, &out))
        return NULL;
    const int64_t *places = at.buf, *sizes = size.buf;
    Py_ssize_t count = at.len / (Py_ssize_t)sizeof(int64_t), done = 0;
    Py_ssize_t width = count ? out.len / count : 0;
    int good = size.len == at.len && out.len == count * width;
    for (; good && done < count; done++) {
        if (done + AHEAD < count)
            prefetch_string(&buffer, places[done + AHEAD], width);
        if (sizes[done] < width)
            continue;
        good = is_within(&buffer, places[done], sizes[done]);
        if (good)
            memcpy((char *)out.buf + done * width, (char *)buffer.buf + places[done],
                   (size_t)width);
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&at);
    PyBuffer_Release(&size);
    PyBuffer_Release(&out);
    if (!good)
        return PyErr_Format(PyExc_ValueError, "expected int64 columns of places within the buffer");
    Py_RETURN_NONE;
}

/* Make the strings of one column, for who needs objects after all. */
static PyObject *
strings(PyObject *module, PyObject *args)
{
    Py_buffer buffer, at, size;
    if (!PyArg_ParseTuple(args, "y*y*y*", &buffer, &at, &size))
        return NULL;
    const int64_t *places = at.buf, *sizes = size.buf;
    Py_ssize_t count = at.len / (Py_ssize_t)sizeof(int64_t);
    PyObject *list = size.len == at.len ? PyList_New(count) : NULL;
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *string = NULL;
        if (sizes[i] < 0)
            string = Py_NewRef(Py_None);
        else if (is_within(&buffer, places[i], sizes[i]))
            string = PyBytes_FromStringAndSize((char *)buffer.buf + places[i], sizes[i]);
        if (string == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, string);
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&at);
    PyBuffer_Release(&size);
    if (list == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "expected int64 columns of places within the buffer");
    return list;
}

/* CRC-32C by the processor's own instruction, where there is one; batches carry it (KIP-98). */
#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_CRC32C __builtin_cpu_supports("sse4.2")
#define CRC32C_TARGET __attribute__((target("sse4.2")))
#define CRC32C_WORD(crc, word) __builtin_ia32_crc32di(crc, word)
#define CRC32C_BYTE(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define HAS_CRC32C 1
#define CRC32C_TARGET
#define CRC32C_WORD(crc, word) __crc32cd((uint32_t)(crc), word)
#define CRC32C_BYTE(crc, byte) __crc32cb((uint32_t)(crc), byte)
#else
#define HAS_CRC32C 0
#define CRC32C_TARGET
#define CRC32C_WORD(crc, word) (crc)
#define CRC32C_BYTE(crc, byte) (crc)
#endif

CRC32C_TARGET static uint32_t
crc32c_of(const uint8_t *bytes, Py_ssize_t size)
{
    uint64_t crc = 0xffffffff, word;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&word, bytes, 8);
        crc = CRC32C_WORD(crc, word);
    }
    for (; size > 0; bytes++, size--)
        crc = CRC32C_BYTE(crc, *bytes);
    return (uint32_t)~crc;
}

static PyObject *
crc32c(PyObject *module, PyObject *args)
{
    Py_buffer buffer;
    Py_ssize_t start, end;
    if (!PyArg_ParseTuple(args, "y*nn", &buffer, &start, &end))
        return NULL;
    int good = HAS_CRC32C && 0 <= start && start <= end && end <= buffer.len;
    uint32_t crc = good ? crc32c_of((uint8_t *)buffer.buf + start, end - start) : 0;
    PyBuffer_Release(&buffer);
    if (!good)
        return PyErr_Format(PyExc_ValueError, HAS_CRC32C ? "expected a range within the buffer"
                                                         : "this processor has no CRC-32C");
    return PyLong_FromUnsignedLong(crc);
}

/* -- keys ------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *key; /* bytes, owned; NULL in a free place */
    uint32_t hash;
    int32_t number;
} Entry;

typedef struct {
    PyObject_HEAD
    Entry *entries;
    size_t mask; /* places less 1; a power of two */
    size_t used;
    uint64_t seed;
} KeyTable;

enum { LEAST_PLACES = 1024 };

static uint32_t
hash_bytes(const char *bytes, Py_ssize_t size, uint64_t seed)
{
    const uint64_t prime = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t even = seed ^ (uint64_t)size, odd = ~seed, word;
    while (size >= 16) { /* two lanes, so that one multiplication does not wait for the other */
        memcpy(&word, bytes, 8);
        even = (even ^ word) * prime;
        even ^= even >> 32;
        memcpy(&word, bytes + 8, 8);
        odd = (odd ^ word) * prime;
        odd ^= odd >> 29;
        bytes += 16;
        size -= 16;
    }
    if (size >= 8) {
        memcpy(&word, bytes, 8);
        even = (even ^ word) * prime;
        even ^= even >> 32;
        bytes += 8;
        size -= 8;
    }
    word = 0;
    memcpy(&word, bytes, (size_t)size);
    even = (even ^ word ^ (odd << 1)) * prime;
    even ^= even >> 32;
    return (uint32_t)((even * prime) >> 32);
}

static Entry *
place_of(const KeyTable *self, const char *bytes, Py_ssize_t size, uint32_t hash)
{
    for (size_t at = hash & self->mask;; at = (at + 1) & self->mask) {
        Entry *entry = &self->entries[at];
        if (entry->key == NULL ||
            (entry->hash == hash && PyBytes_GET_SIZE(entry->key) == size &&
             memcmp(PyBytes_AS_STRING(entry->key), bytes, (size_t)size) == 0))
            return entry;
    }
}

static int
make_room(KeyTable *self)
{
    size_t places = self->entries ? 2 * (self->mask + 1) : LEAST_PLACES;
    Entry *old = self->entries, *end = old ? old + self->mask + 1 : old;
    Entry *entries = PyMem_Calloc(places, sizeof(Entry));
    if (entries == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    self->entries = entries;
    self->mask = places - 1;
    for (Entry *entry = old; entry < end; entry++)
        if (entry->key != NULL)
            *place_of(self, PyBytes_AS_STRING(entry->key), PyBytes_GET_SIZE(entry->key),
                      entry->hash) = *entry;
    PyMem_Free(old);
    return 1;
}

static int32_t
number_of(const KeyTable *self, const char *bytes, Py_ssize_t size, uint32_t hash)
{
    const Entry *entry = place_of(self, bytes, size, hash);
    return entry->key ? entry->number : -1;
}

static PyObject *
KeyTable_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    unsigned long long seed = 0;
    static char *names[] = {"seed", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "K", names, &seed))
        return NULL;
    KeyTable *self = (KeyTable *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->seed = seed;
        if (!make_room(self))
            Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
KeyTable_dealloc(PyObject *object)
{
    KeyTable *self = (KeyTable *)object;
    if (self->entries != NULL)
        for (size_t at = 0; at <= self->mask; at++)
            Py_XDECREF(self->entries[at].key);
    PyMem_Free(self->entries);
    PyTypeObject *type = Py_TYPE(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
KeyTable_put(PyObject *object, PyObject *args)
{
    KeyTable *self = (KeyTable *)object;
    PyObject *key;
    int number;
    if (!PyArg_ParseTuple(args, "Si", &key, &number))
        return NULL;
    if (2 * (self->used + 1) > self->mask && !make_room(self))
        return NULL;
    const char *bytes = PyBytes_AS_STRING(key);
    Py_ssize_t size = PyBytes_GET_SIZE(key);
    uint32_t hash = hash_bytes(bytes, size, self->seed);
    Entry *entry = place_of(self, bytes, size, hash);
    if (entry->key == NULL) {
        entry->key = Py_NewRef(key);
        entry->hash = hash;
        self->used++;
    }
    entry->number = number;
    Py_RETURN_NONE;
}

static PyObject *
KeyTable_get(PyObject *object, PyObject *key)
{
    KeyTable *self = (KeyTable *)object;
    if (!PyBytes_Check(key))
        return PyErr_Format(PyExc_TypeError, "expected bytes");
    const char *bytes = PyBytes_AS_STRING(key);
    Py_ssize_t size = PyBytes_GET_SIZE(key);
    return PyLong_FromLong(number_of(self, bytes, size, hash_bytes(bytes, size, self->seed)));
}

/* Look up AHEAD keys at a time: the table's lines are on their way while others are hashed. */
static PyObject *
KeyTable_find(PyObject *object, PyObject *args)
{
    KeyTable *self = (KeyTable *)object;
    Py_buffer buffer, at, size, out;
    int good = 1;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &buffer, &at, &size, &out))
        return NULL;
    const int64_t *places = at.buf, *sizes = size.buf;
    int64_t *numbers = out.buf;
    Py_ssize_t count = out.len / (Py_ssize_t)sizeof(int64_t);
    if (at.len != out.len || size.len != out.len)
        good = 0;
    for (Py_ssize_t first = 0; good && first < count; first += AHEAD) {
        Py_ssize_t end = first + AHEAD < count ? first + AHEAD : count;
        uint32_t hashes[AHEAD];
        for (Py_ssize_t i = end; i < count && i < end + AHEAD; i++)
            prefetch_string(&buffer, places[i], sizes[i]);
        for (Py_ssize_t i = first; i < end; i++) {
            Py_ssize_t length = sizes[i] < 0 ? 0 : (Py_ssize_t)sizes[i];
            if (!is_within(&buffer, places[i], length)) {
                good = 0;
                break;
            }
            hashes[i - first] = hash_bytes((char *)buffer.buf + places[i], length, self->seed);
            prefetch((char *)&self->entries[hashes[i - first] & self->mask], sizeof(Entry));
        }
        for (Py_ssize_t i = first; good && i < end; i++)
            numbers[i] = number_of(self, (char *)buffer.buf + places[i],
                                   sizes[i] < 0 ? 0 : (Py_ssize_t)sizes[i], hashes[i - first]);
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&at);
    PyBuffer_Release(&size);
    PyBuffer_Release(&out);
    if (!good)
        return PyErr_Format(PyExc_ValueError, "expected int64 columns of places within the buffer");
    Py_RETURN_NONE;
}

static Py_ssize_t
KeyTable_length(PyObject *object)
{
    return (Py_ssize_t)((KeyTable *)object)->used;
}

static PyMethodDef KeyTable_methods[] = {
    {"put", KeyTable_put, METH_VARARGS, "put(key, number): enter a key, or give it a new number."},
    {"get", KeyTable_get, METH_O, "get(key): the key's number, -1 where it has none."},
    {"find", KeyTable_find, METH_VARARGS,
     "find(buffer, at, size, out): write the number of each packed key, -1 where it has none."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot KeyTable_slots[] = {
    {Py_tp_doc, "KeyTable(seed): numbers of byte strings."},
    {Py_tp_new, KeyTable_new},
    {Py_tp_dealloc, KeyTable_dealloc},
    {Py_tp_methods, KeyTable_methods},
    {Py_sq_length, KeyTable_length},
    {0, NULL},
};

static PyType_Spec KeyTable_spec = {
    "streams.packed._native.KeyTable", sizeof(KeyTable), 0, Py_TPFLAGS_DEFAULT, KeyTable_slots,
};

/* -- module ----------------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"walk", walk, METH_VARARGS,
     "walk(buffer, start, count, out): read count records from start on into 6 int64 columns."},
    {"heads", heads, METH_VARARGS,
     "heads(buffer, at, size, out): copy the first bytes of each string that has a row's width."},
    {"strings", strings, METH_VARARGS,
     "strings(buffer, at, size): list of the packed strings, None where a size is below 0."},
    {"crc32c", crc32c, METH_VARARGS,
     "crc32c(buffer, start, end): CRC-32C of a range; ValueError where has_crc32c is false."},
    {NULL, NULL, 0, NULL},
};

static int
fill_module(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&KeyTable_spec);
    int done = type == NULL ? -1 : PyModule_AddObjectRef(module, "KeyTable", type);
    Py_XDECREF(type);
    return done < 0 ? done : PyModule_AddIntConstant(module, "has_crc32c", HAS_CRC32C != 0);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Compiled half of streams.packed.", 0, functions, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
