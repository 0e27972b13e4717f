/* The ABI between Retort and a plug-in that computes on a device (CUDA first). Plain C, so that the plug-in may be built
   by another compiler than the program, and loaded at run time or not at all.

   A plug-in is one shared library that exports one function, RETORT_DEVICE_ENTRY. It returns a table that lives as long
   as the library. The host reads `abi` and `size` first and goes no further unless both are as it knows them.

   Rules of every call:
   - It returns a retort_status. Anything but RETORT_OK leaves a sentence for error_text(): what failed, what was
     expected, what was found. Nothing is thrown, printed or aborted across this boundary.
   - Pointers given are only read during the call; what it writes to is the caller's. Strings are UTF-8, never null.
   - One thread at a time uses a device and what was opened on it; different threads may, one after the other.
   - A structure's `size` is set by whoever fills it, and says which version of it that is.
   - A call returns when the device has done its work: host memory holds the results, and a time taken around it is true.
   - What the device cannot do is refused by check(), before anything is uploaded: nothing is silently done elsewhere.

   Raise RETORT_DEVICE_ABI with every change of a structure's layout, of a function's signature or of a meaning. */
#ifndef RETORT_DEVICE_PLUGIN_H
#define RETORT_DEVICE_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RETORT_DEVICE_ABI 2u
#define RETORT_DEVICE_ENTRY "retort_device_plugin_entry"

typedef int32_t retort_status;
enum {
  RETORT_OK = 0,
  RETORT_BAD_ARGUMENT = 1,   /* a bug of the caller */
  RETORT_UNSUPPORTED = 2,    /* the device or the plug-in can't do it; the text says what and why */
  RETORT_OUT_OF_MEMORY = 3,  /* of the device; nothing was changed */
  RETORT_NO_DEVICE = 4,
  RETORT_NO_DRIVER = 5,      /* none, or older than the plug-in needs */
  RETORT_FAILED = 6          /* the device failed during work: everything opened on it can only be closed */
};

/* ---- What there is ------------------------------------------------------------------------------------------------ */

typedef struct retort_device_info {
  uint32_t size;
  int32_t index;
  char name[128];              /* "NVIDIA H100 80GB HBM3" */
  char uuid[64];               /* empty where unknown */
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  int32_t usable;              /* 0: `reason` says why not (compute capability below 7.5 …) */
  char reason[256];
  uint64_t memory_total;       /* bytes */
  uint64_t memory_free;        /* bytes; 0 where the driver doesn't tell without opening the device */
  double memory_bandwidth;     /* bytes per second by the data sheet; 0 where unknown */
} retort_device_info;

typedef struct retort_probe {
  uint32_t size;
  int32_t devices;             /* 0: `reason` says why */
  char plugin[64];             /* "cuda 13.0, sm_75 80 86 89 90" */
  char driver[64];             /* "580.65 (CUDA 13.0)"; empty where there is none */
  char reason[256];
} retort_probe;

/* Element types of weights, by their numbers in GGUF files; layouts byte for byte as kernels/api/blocks.h has them. */
enum {
  RETORT_TYPE_F32 = 0,
  RETORT_TYPE_F16 = 1,
  RETORT_TYPE_Q4_0 = 2,
  RETORT_TYPE_Q8_0 = 8,
  RETORT_TYPE_Q4_K = 12,
  RETORT_TYPE_Q6_K = 14,
  RETORT_TYPE_BF16 = 30
};

enum { RETORT_KV_F32 = 0, RETORT_KV_F16 = 1 };

typedef struct retort_capabilities {
  uint32_t size;
  uint32_t steps;              /* bit k: steps of kind k (RETORT_STEP_…) */
  uint32_t element_ops;        /* bit k: RETORT_ELEMENT_k */
  uint32_t activations;        /* bit k: RETORT_ACTIVATION_k */
  uint32_t kv_types;           /* bit k: RETORT_KV_k */
  uint32_t pools;              /* bit k: RETORT_POOL_k */
  uint64_t linear_types;       /* bit k: weights of linears may have RETORT_TYPE number k */
  uint64_t row_types;          /* bit k: tables that rows are looked up in may */
  int32_t largest_head_dim;
  int32_t largest_top;         /* of top() */
  int32_t largest_sampled;     /* outputs of a row that sample() draws from, at most; 0: it can't */
  char arithmetic[128];        /* for people: "f16 products summed in f32; decoding weights exact in f32" */
} retort_capabilities;

/* ---- What is to be computed ----------------------------------------------------------------------------------------
   All values are f32. A value has `width` numbers a row; a row is a token of the pass (in the head: a row that the head is
   applied to). Rows lie one after the other without gaps. */

enum {
  RETORT_PLACE_ARENA = 0,      /* arena + offset · plan.batch floats, then row · width */
  RETORT_PLACE_HIDDEN = 1,     /* body: the row's place in the session's hidden states, [rows, plan.hidden]
                                  head: the rows that the head is applied to; only read there */
  RETORT_PLACE_OUTPUT = 2,     /* the rows of the head's result, [rows, plan.outputs] */
  RETORT_PLACE_NONE = 3        /* no value: token ids, or not there */
};

typedef struct retort_value {
  int32_t place;
  int32_t width;
  int64_t offset;              /* in floats per token, a multiple of 16; values whose storage is shared have the same */
} retort_value;

enum {
  RETORT_STEP_EMBEDDING = 0,   /* out[r] = row id(r) of table `weight`; id by `lookup` */
  RETORT_STEP_NORM = 1,        /* out = norm(a) */
  RETORT_STEP_ADD = 2,         /* sum = a + b; sum may lie where a lies */
  RETORT_STEP_ADD_NORM = 3,    /* sum = a + b, out = norm(sum) */
  RETORT_STEP_LINEARS = 4,     /* linears [first_linear, + linears): each out = a · Wᵀ (+ bias) */
  RETORT_STEP_ATTENTION = 5,   /* out = attention(q = a, k = b, v = c); rotates q and k first, in place */
  RETORT_STEP_GATE = 6,        /* out = f(a) · b; out may lie where a lies */
  RETORT_STEP_ELEMENT = 7,     /* out = element_op(a[, b]); out may lie where a lies, but not of a slice */
  RETORT_STEP_EXPERTS = 8      /* a mixture: x = a, router's scores = b [experts]; linears hold gate, up, down of each */
};

enum { RETORT_LOOKUP_TOKEN = 0, RETORT_LOOKUP_POSITION = 1, RETORT_LOOKUP_TYPE = 2 };
enum { RETORT_NORM_RMS = 0, RETORT_NORM_LAYER = 1 };

enum {
  RETORT_ELEMENT_MULTIPLY = 0, /* a · b; b.width may be 1, which then multiplies all of a */
  RETORT_ELEMENT_SCALE = 1,    /* scale · a */
  RETORT_ELEMENT_SOFT_CAP = 2, /* scale · tanh(a / scale) */
  RETORT_ELEMENT_ACTIVATION = 3,
  RETORT_ELEMENT_NORMALIZE = 4,/* a / max(sqrt(Σ a²), 1e-12) */
  RETORT_ELEMENT_SLICE = 5     /* columns [slice_first, + slice_count) of each run of slice_period, one after the other */
};

/* As retort::kernels::Activation, in its order. */
enum {
  RETORT_ACTIVATION_SILU = 0, RETORT_ACTIVATION_GELU = 1, RETORT_ACTIVATION_GELU_TANH = 2, RETORT_ACTIVATION_GELU_QUICK = 3,
  RETORT_ACTIVATION_RELU = 4, RETORT_ACTIVATION_RELU_SQUARED = 5, RETORT_ACTIVATION_TANH = 6, RETORT_ACTIVATION_SIGMOID = 7
};

/* One row of a sequence's; sums over its rows. MEAN_SQRT: Σ / sqrt(rows). */
enum { RETORT_POOL_FIRST = 0, RETORT_POOL_LAST = 1, RETORT_POOL_MEAN = 2, RETORT_POOL_MAX = 3, RETORT_POOL_MEAN_SQRT = 4 };

/* What a weight is used for; a weight may have several uses (a tied head: LINEAR and ROWS). */
enum {
  RETORT_USE_LINEAR = 1,       /* [rows = outputs, columns = inputs] */
  RETORT_USE_ROWS = 2,         /* a table of embeddings: single rows are decoded to f32 */
  RETORT_USE_VECTOR = 4        /* norms, biases, position biases: F32 always, rows = 1 */
};

typedef struct retort_weight {
  int32_t type;                /* RETORT_TYPE_… */
  uint32_t uses;               /* 0: not used; never uploaded */
  int64_t rows, columns;
  uint64_t bytes;
  const char* name;            /* "blk.0.attn_q.weight": for error texts */
} retort_weight;

typedef struct retort_linear {
  int32_t weight;              /* index into plan.weights */
  int32_t bias;                /* [outputs], F32; -1: none */
  retort_value out;            /* NONE for those of experts */
} retort_linear;

/* Rows rotated by their position: angle(r, i) = position(r) · inverse[i] in f32; cosine and sine of it, times
   attention_factor. Pairs: interleaved (2i, 2i + 1), else (i, i + half). Only the first 2 · half values of a head turn. */
typedef struct retort_rope {
  int32_t half;
  int32_t interleaved;
} retort_rope;

/* Fields that a step's kind doesn't name are zero, -1 (indices) or NONE (values). */
typedef struct retort_step {
  int32_t kind;
  int32_t layer;               /* -1 outside the layers; of attention: whose cache it is */
  retort_value a, b, c, sum, out;
  const char* name;            /* for error texts */

  int32_t lookup;              /* EMBEDDING */
  int32_t weight;              /* EMBEDDING: the table; norms: [width / groups] or [width]; -1: none */
  int32_t bias;                /* layer norms; -1: none */

  int32_t norm;                /* RETORT_NORM_…: x / sqrt(mean(x²) + epsilon) · (weight + weight_offset), or
                                  (x - mean) / sqrt(variance + epsilon) · weight + bias, variance divided by n */
  int32_t groups;              /* equal parts of a row, each normalized by itself */
  int32_t own_weights;         /* 1: the norm's weight (and bias) is as wide as the row; 0: the parts share it */
  float epsilon, weight_offset;

  int32_t first_linear, linears;

  int32_t heads, kv_heads, head_dim;
  int32_t causal;              /* 1: k, v are appended to the cache of `layer` at the rows' positions, and the row at position
                                  t sees positions max(0, t - window + 1) … t. 0: every row sees all of its sequence */
  int32_t window;              /* 0: none */
  int32_t query_rope, key_rope;/* index into plan.ropes; -1: not rotated */
  int32_t relative_bias;       /* weight [heads, 2 · plan.batch - 1]: + bias[h, plan.batch - 1 + key - query]; -1: none */
  float scale;                 /* score = scale · q·k, then soft_cap · tanh(score / soft_cap) unless 0, then + bias;
                                  ELEMENT: SCALE's and SOFT_CAP's number */
  float soft_cap;

  int32_t activation;          /* GATE, ELEMENT, EXPERTS */
  int32_t element;             /* RETORT_ELEMENT_… */
  int64_t slice_first, slice_count, slice_period;

  int32_t experts_used;        /* EXPERTS: Σ over the experts_used greatest p of softmax(b) of p · down(f(gate(a)) · up(a)); */
  int32_t normalize_experts;   /*   equal p: the lower expert first; 1: the chosen p are divided by their sum */
} retort_step;

typedef struct retort_plan {
  uint32_t size;
  int32_t causal;              /* 0: an encoder */
  int32_t layers;              /* of caches */
  int32_t vocabulary;          /* token ids are below; the host has checked them */
  int32_t hidden;              /* width of the hidden states, and of what the head reads */
  int32_t outputs;             /* width of the head's result; 0: no head. With head_step_count 0 it is the rows themselves */
  int32_t pool;                /* RETORT_POOL_… between body and head; -1: none */
  int32_t kv_type;             /* RETORT_KV_… */
  int32_t kv_heads, head_dim;  /* of the caches: [layers, context, kv_heads, head_dim] each of keys and values */
  int64_t context;             /* positions of the cache */
  int64_t batch;               /* most rows of a pass; of an encoder also the longest sequence */
  int64_t position_offset;     /* decoders with a table of positions: a row at position p takes row p + position_offset */
  int64_t arena_floats;        /* per row */
  int64_t widest_input;        /* columns of the widest linear */
  int64_t expert_floats;       /* per row: room for one expert's gathered rows and results, without work of the kernels */
  int32_t q8_activations;      /* 1: activations may be rounded, to 8 bits at most; 0: f32, or what comes to the same (two f16) */

  int32_t step_count, head_step_count, linear_count, weight_count, rope_count;
  const retort_step* steps;
  const retort_step* head_steps;
  const retort_linear* linears;
  const retort_weight* weights;
  const retort_rope* ropes;
} retort_plan;

typedef struct retort_memory {
  uint32_t size;
  uint64_t weights, kv_cache, work_space;   /* bytes on the device, by what they are for */
} retort_memory;

/* ---- What is run --------------------------------------------------------------------------------------------------- */

/* One pass of the body over 1 … plan.batch rows. A decoder's pass of one row is the same work every time but for `tokens`
   and `start`: a plug-in may keep it as a graph that reads both from device memory. */
typedef struct retort_pass {
  uint32_t size;
  int32_t rows;
  const int32_t* tokens;       /* [rows] */
  const int32_t* types;        /* [rows], or null: zeros */
  const int32_t* positions;    /* encoders: [rows] of the position table, and of ropes; decoders: null, row r is at start + r */
  int64_t start;               /* decoders: positions before are in the cache. Lower than before: a rewind, the rest is forgotten */
  int64_t hidden_row;          /* the pass's rows go to [hidden_row, + rows) of the hidden states; see reserve() */
  int32_t sequences;           /* encoders: their number, else 0 */
  const int32_t* lengths;      /* encoders: [sequences], each 1 or more, adding up to rows */
  int64_t pooled_row;          /* with a pool: the sequences go to [pooled_row, + sequences) of the pooled rows */
} retort_pass;

/* How sample() draws. The host draws the random number: a seed gives the same text wherever it is computed. */
typedef struct retort_drawing {
  uint32_t size;
  double temperature;          /* above 0 */
  double top_p;                /* above 0, at most 1 */
  double uniform;              /* of [0, 1) */
} retort_drawing;

typedef struct retort_energy {
  uint32_t size;
  int32_t available;           /* 0: `reason` says why (no NVML, a device that doesn't count …) */
  double joules;               /* counted by the device since some moment; differences count */
  double watts;                /* drawn now; 0 where unknown */
  char reason[128];
} retort_energy;

typedef struct retort_device retort_device;
typedef struct retort_model retort_model;      /* uploaded weights */
typedef struct retort_session retort_session;  /* a compiled plan with its cache and work space */

typedef struct retort_device_plugin {
  uint32_t abi;                /* RETORT_DEVICE_ABI */
  uint32_t size;               /* of this table */

  /* What the last call on this thread that didn't return RETORT_OK has to say. Valid until the next call. */
  const char* (*error_text)(void);

  /* Cheap: opens no device, maps no vendor library. RETORT_OK with devices 0 and a reason where there is none. */
  retort_status (*probe)(retort_probe* out);
  retort_status (*device_info)(int32_t index, retort_device_info* out);

  retort_status (*device_open)(int32_t index, retort_device** out);
  void (*device_close)(retort_device* device);                   /* after everything that was opened on it */
  retort_status (*device_memory)(retort_device* device, uint64_t* free_bytes, uint64_t* total_bytes);
  retort_status (*capabilities)(retort_device* device, retort_capabilities* out);
  retort_status (*energy)(retort_device* device, retort_energy* out);

  /* Whether this device can run this plan with these weights, and what it will take. Allocates nothing on the device. */
  retort_status (*check)(retort_device* device, const retort_plan* plan, retort_memory* predicted);

  /* Weights are uploaded whole, each once, before sessions are opened. `data` is as the type stores it. */
  retort_status (*model_open)(retort_device* device, const retort_weight* weights, int32_t count, retort_model** out);
  retort_status (*model_upload)(retort_model* model, int32_t weight, const void* data, uint64_t bytes);
  void (*model_close)(retort_model* model);                      /* after its sessions */

  /* The plan is copied. plan.weights describes what model_open() was given. */
  retort_status (*session_open)(retort_model* model, const retort_plan* plan, retort_session** out);
  void (*session_close)(retort_session* session);
  retort_status (*session_memory)(retort_session* session, retort_memory* out);

  /* inverse [half] of ropes[rope]; before the first pass, and again whenever they change. */
  retort_status (*set_rope)(retort_session* session, int32_t rope, const float* inverse, float attention_factor);
  /* Room for so many rows of hidden states (and of pooled ones). At first there is room for plan.batch of each. Growing may
     lose what lies there. */
  retort_status (*reserve)(retort_session* session, int64_t hidden_rows, int64_t pooled_rows);
  retort_status (*run)(retort_session* session, const retort_pass* pass);
  /* Hidden states of the last passes, as they lie: [count, plan.hidden]. */
  retort_status (*hidden)(retort_session* session, int64_t first, int64_t count, float* out);

  /* The head over rows [first, + count) of the pooled rows where there is a pool, else of the hidden states; or, where
     `rows` isn't null, over those of the host [count, plan.hidden]. Any count: cut into passes of plan.batch.
     out [count, plan.outputs]. */
  retort_status (*head)(retort_session* session, const float* rows, int64_t first, int64_t count, float* out);
  /* The head over one row, then the `count` greatest of its outputs in falling order, equal ones by the lower index, and
     log Σ exp of all of them. A NaN among the outputs: ids[0] = -1. */
  retort_status (*top)(retort_session* session, int64_t row, int32_t count, int32_t* ids, float* values, double* log_sum);
  /* The head over one row, then one of its outputs drawn. Shares are exp((output - greatest) / temperature); those above 1e-12
     are put in falling order, equal ones by the lower index, and of them the fewest are kept that hold top_p of the sum of all
     shares. Drawn is the first whose running sum is above uniform · the sum of those kept; `value` is the output itself.
     A NaN among the outputs, or a greatest that is infinite: id = -1. */
  retort_status (*sample)(retort_session* session, int64_t row, const retort_drawing* how, int32_t* id, float* value, double* log_sum);
} retort_device_plugin;

/* const retort_device_plugin* retort_device_plugin_entry(void) */
typedef const retort_device_plugin* (*retort_device_plugin_entry_fn)(void);

#ifdef __cplusplus
}
#endif
#endif
