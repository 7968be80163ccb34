/* The integer convolution. */
#include "fuzz.h"

static void fuzz_run(pool *p, const mgk_conv2d *c, void *prepared, size_t prepared_size)
{
    source *s = p->s;
    size_t height = 1, width = 1;
    (void)mgk_conv2d_output(c, &height, &width);
    const size_t inputs = bytes(bytes(c->images, c->height, c->width), c->in_channels, 1);
    const size_t outputs = bytes(bytes(c->images, height, width), c->out_channels, sizeof(int32_t));
    const size_t workspace_size = mgk_qconv2d_workspace_size(prepared, prepared_size);
    uint8_t *codes = make(p, inputs);
    void *workspace = make(p, workspace_size);
    void *out = maybe_inside(s, make(p, outputs), inputs > outputs ? codes : prepared);
    (void)mgk_qconv2d_kernel_of(prepared, prepared_size);
    (void)mgk_qconv2d_run(prepared, prepared_size, codes, codes != NULL ? inputs : 0, out,
                          out == prepared ? prepared_size : outputs, next_size(s, 2) - 1, next_size(s, 2), workspace,
                          workspace_size);
}

void fuzz_qconv2d(pool *p)
{
    source *s = p->s;
    mgk_qconv2d layer = {.conv = next_conv(s), .groups = next_byte(s) < 200 ? 1 : next_size(s, 4)};
    layer.activation_bits = 1 + next_unsigned(s, 4);
    layer.weight_bits = next_byte(s) < 200 ? layer.activation_bits : 1 + next_unsigned(s, 8);
    layer.bipolar = next_byte(s) < 220 ? 0 : (int)next_unsigned(s, 2);
    if (next_byte(s) > 200) {
        layer.zero = make(p, bytes(layer.conv.in_channels, 1, 1));
        layer.zero = layer.zero == NULL || layer.conv.in_channels > MOST ? NULL : layer.zero;
    }
    layer.encoding = (mgk_encoding)next_unsigned(s, 3);
    layer.weight_zero = next_byte(s) % 4;
    layer.codebook = make(p, 16);
    layer.epilogue = next_epilogue(p, layer.conv.out_channels);
    layer.kernel = next_unsigned(s, 4) == 0 ? next_unsigned(s, mgk_qconv2d_kernels() + 2) : 0;
    layer.flush_from_weights = (int)next_unsigned(s, 2);
    const mgk_path path = next_byte(s) % 2 == 0 ? MGK_SCALAR : (mgk_path)next_unsigned(s, 8);

    const size_t row_length = bytes(bytes(layer.conv.kernel_height, layer.conv.kernel_width, 1), layer.conv.in_channels,
                                    1); /* at least what a group has */
    const size_t packed_size = bytes(bytes(layer.conv.out_channels, row_length, 1), 1, 1);
    uint8_t *packed = make(p, packed_size);
    const size_t size = mgk_qconv2d_prepared_size(path, &layer);
    void *prepared = maybe_inside(s, make(p, size), packed_size > size ? packed : NULL);
    const mgk_status status =
        mgk_qconv2d_prepare(path, &layer, packed, packed != NULL ? packed_size : 0, prepared, size);
    if (prepared != NULL && status != MGK_OK) {
        fuzz_run(p, &layer.conv, prepared, size); /* whatever is in there */
    }
    if (status == MGK_OK) {
        if (next_byte(s) > 240) {
            ((uint8_t *)prepared)[next_byte(s)] ^= 1; /* its beginning guards itself */
        }
        fuzz_run(p, &layer.conv, prepared, size);
    }
}
