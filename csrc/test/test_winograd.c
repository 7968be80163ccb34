/* The worst operands of the Winograd kernels: at each transformed position, all channels at the ends of both ranges, of
 * equal and of opposite sign, with as many channels as lanes hold and more. */
#include "conv_case.h"

static const int rows_of_d[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const int rows_of_g[4][3] = {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}};

/* 3 tiles side by side, of which one is as bad as can be: 4 x 8 codes. Two blocks of output channels: 32 and 16. */
enum { HEIGHT = 4, WIDTH = 8, OUT_CHANNELS = 33, TILES = 3 };

static mgk_qconv2d make_layer(unsigned kernel, size_t channels, unsigned activation_bits, unsigned weight_bits)
{
    return (mgk_qconv2d){.conv = {.images = 1,
                                  .height = HEIGHT,
                                  .width = WIDTH,
                                  .in_channels = channels,
                                  .kernel_height = 3,
                                  .kernel_width = 3,
                                  .out_channels = OUT_CHANNELS,
                                  .stride_y = 1,
                                  .stride_x = 1,
                                  .dilation_y = 1,
                                  .dilation_x = 1},
                         .groups = 1,
                         .activation_bits = activation_bits,
                         .weight_bits = weight_bits,
                         .kernel = kernel};
}

/* Codes that make V at (i, j) of a tile largest, or smallest where sign is -1; zeros elsewhere. */
static void fill_tile(const conv_case *k, int i, int j, int sign, size_t tile)
{
    const size_t channels = k->layer.conv.in_channels;
    const uint8_t top = (uint8_t)((1u << k->layer.activation_bits) - 1);
    memset(k->codes, 0, k->inputs);
    for (size_t y = 0; y < 4; y++) {
        for (size_t x = 0; x < 4; x++) {
            if (rows_of_d[i][y] * rows_of_d[j][x] * sign > 0) {
                memset(k->codes + (y * WIDTH + 2 * tile + x) * channels, top, channels);
            }
        }
    }
}

/* Weights that make U at (i, j) largest, or smallest; where U does not read them, the opposite. */
static void fill_weights(const conv_case *k, int i, int j, int sign)
{
    const size_t channels = k->layer.conv.in_channels;
    const uint8_t top = (uint8_t)((1u << k->layer.weight_bits) - 1);
    for (size_t o = 0; o < OUT_CHANNELS; o++) {
        for (size_t tap = 0; tap < 9; tap++) {
            const int up = rows_of_g[i][tap / 3] * rows_of_g[j][tap % 3] * sign > 0;
            memset(k->weight_codes + (o * 9 + tap) * channels, up ? top : 0, channels);
        }
    }
}

static void test_position(mgk_path path, const mgk_qconv2d *layer, int i, int j)
{
    conv_case k = make_case(path, *layer, 0);
    if (k.prepared_size > 0) {
        for (int signs = 0; signs < 4; signs++) {
            fill_weights(&k, i, j, signs % 2 == 0 ? 1 : -1);
            prepare_case(path, &k);
            fill_tile(&k, i, j, signs / 2 == 0 ? 1 : -1, random_below(TILES));
            CHECK_STATUS(MGK_OK, run_case(&k));
            check_outputs(&k);
        }
    }
    free_case(&k);
}

/* Channels: less and more than lanes of 16 and of 32 bits need flushes for, and than a chunk has. */
static void test_kernel(unsigned kernel)
{
    static const size_t channels[] = {1, 33, 72, 96, 176, 400};
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    for (unsigned a = 1; a <= 4; a++) {
        for (unsigned w = 1; w <= 4; w++) {
            for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
                mgk_qconv2d layer = make_layer(kernel, channels[c], a, w);
                if (a != w && channels[c] != 33 && channels[c] != 96) {
                    continue;
                }
                for (int position = 0; position < 16; position++) {
                    layer.flush_from_weights = position % 2;
                    test_position(path, &layer, position / 4, position % 4);
                }
            }
        }
    }
}

/* Weights at random, with flushes proven for them. */
static void test_flush_from_weights(unsigned kernel)
{
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    for (unsigned bits = 1; bits <= 4; bits++) {
        mgk_qconv2d layer = make_layer(kernel, 64, bits, bits);
        layer.flush_from_weights = 1;
        conv_case k = make_case(path, layer, 0);
        if (k.prepared_size > 0) {
            prepare_case(path, &k);
            for (int i = 0; i < 4; i++) { /* all codes at the ends of their range */
                fill_codes(k.codes, k.inputs, 1);
                for (size_t n = 0; n < k.inputs; n++) {
                    k.codes[n] = (uint8_t)(k.codes[n] * ((1u << bits) - 1));
                }
                CHECK_STATUS(MGK_OK, run_case(&k));
                check_outputs(&k);
            }
        }
        free_case(&k);
    }
}

int main(void)
{
    for (unsigned kernel = 1; kernel <= mgk_qconv2d_kernels(); kernel++) {
        if (strstr(mgk_qconv2d_kernel_name(kernel), "winograd") != NULL &&
            mgk_has_path(mgk_qconv2d_kernel_path(kernel))) {
            test_kernel(kernel);
            test_flush_from_weights(kernel);
        }
    }
    return check_result("winograd");
}
