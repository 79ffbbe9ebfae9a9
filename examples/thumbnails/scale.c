/* Makes small pictures of large ones, and has a bug: it trusts the sizes that the caller gives. For actors
 * that must live with such libraries (thumbnails.py). */
#include <stddef.h>
#include <stdint.h>

__attribute__((visibility("default"))) void scale_gray(const uint8_t *from, size_t from_width,
    size_t from_height, uint8_t *to, size_t to_width, size_t to_height);

/* The mean of each tile of a picture in shades of gray. A wrong size reads far behind the picture's end. */
void scale_gray(const uint8_t *from, size_t from_width, size_t from_height, uint8_t *to, size_t to_width,
    size_t to_height)
{
    size_t tile_width = from_width / to_width, tile_height = from_height / to_height;
    for (size_t row = 0; row < to_height; row++) {
        for (size_t column = 0; column < to_width; column++) {
            uint64_t sum = 0;
            for (size_t y = 0; y < tile_height; y++) {
                for (size_t x = 0; x < tile_width; x++) {
                    sum += from[(row * tile_height + y) * from_width + column * tile_width + x];
                }
            }
            to[row * to_width + column] = (uint8_t)(sum / (tile_width * tile_height));
        }
    }
}
