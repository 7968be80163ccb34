/* Every bad argument of the integer convolution that a table can say, on every path; test_qconv2d_values.c has the others. */
#include "arguments.h"
#include "conv_case.h"

/* ---------------------------------------------------------------- calls with unpacked arguments */

enum { PREPARING = 13 };

/* a[0]: path, a[1]: shape, a[2]: groups, a[3] and a[4]: bits, then the arrays of the layer, and its output. */
static const mgk_qconv2d *make_layer(const argument *a, mgk_qconv2d *layer)
{
    if (a[1].p == NULL) {
        return NULL;
    }
    memset(layer, 0, sizeof *layer);
    memcpy(&layer->conv, a[1].p, sizeof layer->conv);
    layer->groups = a[2].n;
    layer->activation_bits = (unsigned)a[3].n;
    layer->weight_bits = (unsigned)a[4].n;
    layer->encoding = MGK_CODEBOOK;
    layer->zero = a[5].p;
    layer->codebook = a[6].p;
    layer->epilogue.output = (mgk_output)a[10].n;
    layer->epilogue.bits = 2;
    layer->epilogue.high = 100;
    if (layer->epilogue.output == MGK_CODES) {
        layer->epilogue.thresholds = a[7].p;
        layer->epilogue.direction = a[8].p;
    } else {
        layer->epilogue.multiplier = a[7].p;
        layer->epilogue.shift = a[8].p;
        layer->epilogue.bias = a[9].p;
    }
    return layer;
}

static size_t call_mgk_qconv2d_prepared_size(const argument *a)
{
    mgk_qconv2d layer;
    return mgk_qconv2d_prepared_size((mgk_path)a[0].n, make_layer(a, &layer));
}

static size_t call_mgk_qconv2d_prepare(const argument *a)
{
    mgk_qconv2d layer;
    return mgk_qconv2d_prepare((mgk_path)a[0].n, make_layer(a, &layer), a[11].p, a[12].n, a[13].p, a[14].n);
}

static size_t call_mgk_qconv2d_run(const argument *a)
{
    return mgk_qconv2d_run(a[0].p, a[1].n, a[2].p, a[3].n, a[4].p, a[5].n, a[6].n, a[7].n, a[8].p, a[9].n);
}

static size_t call_mgk_qconv2d_workspace_size(const argument *a)
{
    return mgk_qconv2d_workspace_size(a[0].p, a[1].n);
}

static size_t call_mgk_qconv2d_kernel_of(const argument *a)
{
    return mgk_qconv2d_kernel_of(a[0].p, a[1].n);
}

/* ---------------------------------------------------------------- preparing */

/* Two images of 4x5 pixels, 3 channels to 4, 3x3 with a border of 1; rows of 27 codes of 2 bits. */
static const mgk_conv2d shape = {2, 4, 5, 3, 3, 3, 4, 1, 1, 1, 1, 1, 1, 1, 1};
enum { I32 = sizeof(int32_t), OUT = 4, PACKED = 4 * 7 };

/* What the layer is made of: with thresholds, or with multipliers and biases. */
#define LAYER(words, bias_kind, output)                                                                           \
    {PATH, MGK_SCALAR, 0, NULL}, {COPIED, sizeof shape, 0, &shape}, {SIZE, 1, 0, NULL}, {BITS, 2, 0, NULL},       \
        {BITS, 2, 0, NULL}, {OPTIONAL, 3, 0, NULL}, {INPUT, 4, 0, NULL}, {INPUT, OUT * (words) * I32, I32, NULL}, \
        {INPUT, OUT, 0, NULL}, {bias_kind, OUT * I32, I32, NULL},                                                 \
    {                                                                                                             \
        NUMBER, output, 0, NULL                                                                                   \
    }
#define CODES LAYER(3, NUMBER, MGK_CODES)
#define HALVES LAYER(1, OPTIONAL, MGK_REQUANTIZE_I16)

static const function preparing[] = {
    {SIZE_FUNCTION(mgk_qconv2d_prepared_size), {CODES}},
    {SIZE_FUNCTION(mgk_qconv2d_prepared_size), {HALVES}},
    {FUNCTION(mgk_qconv2d_prepare),
     {CODES,
      {INPUT, PACKED, 0, NULL},
      {BYTES, PACKED, 0, NULL},
      {OUTPUT, 0, MGK_ALIGNMENT, NULL},
      {BYTES, 0, 0, NULL}}},
    {FUNCTION(mgk_qconv2d_prepare),
     {HALVES,
      {INPUT, PACKED, 0, NULL},
      {BYTES, PACKED, 0, NULL},
      {OUTPUT, 0, MGK_ALIGNMENT, NULL},
      {BYTES, 0, 0, NULL}}},
};

static void test_preparing(mgk_path path)
{
    for (size_t i = 0; i < sizeof preparing / sizeof *preparing; i++) {
        function f = preparing[i];
        if (!f.gives_size) {
            argument a[MOST_PARAMETERS];
            make_arguments(&preparing[i - 2], a);
            a[0].n = (size_t)path;
            f.parameters[PREPARING].n = f.parameters[PREPARING + 1].n = preparing[i - 2].call(a);
            free_arguments(&preparing[i - 2], a);
        }
        f.parameters[0].n = (size_t)path;
        try_function(&f);
    }
}

/* ---------------------------------------------------------------- running */

static void test_running(mgk_path path, mgk_output output)
{
    mgk_qconv2d layer = {.conv = shape, .groups = 1, .activation_bits = 2, .weight_bits = 2};
    layer.epilogue.output = output;
    layer.epilogue.bits = 2;
    layer.epilogue.high = 100;
    conv_case k = make_case(path, layer, 1);
    prepare_case(path, &k);
    const size_t out = k.outputs * k.element;
    const parameter prepared = {INPUT, k.prepared_size, MGK_ALIGNMENT, k.prepared};
    const parameter size = {BYTES, k.prepared_size, 0, NULL};
    const function run = {FUNCTION(mgk_qconv2d_run),
                          {prepared,
                           size,
                           {INPUT, k.inputs, 0, k.codes},
                           {BYTES, k.inputs, 0, NULL},
                           {OUTPUT, out, k.element, NULL},
                           {BYTES, out, 0, NULL},
                           {BEGIN, 0, 0, NULL},
                           {END, 2, 0, NULL},
                           {OUTPUT, k.workspace_size, MGK_ALIGNMENT, NULL},
                           {BYTES, k.workspace_size, 0, NULL}}};
    const function workspace = {SIZE_FUNCTION(mgk_qconv2d_workspace_size), {prepared, size}};
    const function kernel = {SIZE_FUNCTION(mgk_qconv2d_kernel_of), {prepared, size}};
    try_function(&run);
    try_function(&workspace);
    try_function(&kernel);
    free_case(&k);
}

int main(void)
{
    for (int path = MGK_SCALAR; path <= MGK_VNNI; path++) {
        for (int output = MGK_ACCUMULATORS; output <= MGK_REQUANTIZE_I16 && mgk_has_path((mgk_path)path); output++) {
            test_running((mgk_path)path, (mgk_output)output);
        }
        if (mgk_has_path((mgk_path)path)) {
            test_preparing((mgk_path)path);
        }
    }
    return check_result("arguments_qconv2d");
}
