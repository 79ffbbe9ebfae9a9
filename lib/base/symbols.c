#include "base/symbols.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 512 * 1024 * 1024, NAME_BYTES_MAX = 200, LINES_MAX = 64 };

struct image {
    const uint8_t *data; /* NULL: not to be had */
    size_t size;
};

static struct image image_open(const char *path)
{
    struct stat status;
    struct image image = {0};
    _cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0 ||
        status.st_size > FILE_BYTES_MAX)
        return image;
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data != MAP_FAILED)
        image = (struct image){data, (size_t)status.st_size};
    return image;
}

static void image_close(const struct image *image)
{
    if (image->data)
        (void)munmap((void *)(uintptr_t)image->data, image->size); /* what mmap gave: cannot fail */
}

/* `count` items of `size` at `offset`, or NULL when they do not lie in the file. */
static const void *image_at(const struct image *image, uint64_t offset, uint64_t count, uint64_t size)
{
    if (offset > image->size || count > (image->size - offset) / size)
        return NULL;
    return image->data + offset;
}

static bool section_at(
    const struct image *image, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *section)
{
    const uint8_t *found = index < header->e_shnum && header->e_shentsize == sizeof(*section)
                               ? image_at(image, header->e_shoff, header->e_shnum, sizeof(*section))
                               : NULL;
    if (found)
        memcpy(section, found + index * sizeof(*section), sizeof(*section)); /* it may be unaligned */
    return found != NULL;
}

/* The function of this table that contains `address`. */
static bool find_in_table(const struct image *image, const Elf64_Shdr *table, const Elf64_Shdr *names,
    uint64_t address, char *ret_name, uint64_t *ret_rest)
{
    uint64_t count = table->sh_size / sizeof(Elf64_Sym);
    const uint8_t *symbols = image_at(image, table->sh_offset, count, sizeof(Elf64_Sym));
    const char *texts = image_at(image, names->sh_offset, names->sh_size, 1);
    for (uint64_t i = 0; symbols && texts && i < count; i++) {
        Elf64_Sym symbol;
        memcpy(&symbol, symbols + i * sizeof(symbol), sizeof(symbol));
        bool is_inside = address >= symbol.st_value && address - symbol.st_value < symbol.st_size;
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || !is_inside || symbol.st_name >= names->sh_size)
            continue;
        uint64_t left = names->sh_size - symbol.st_name;
        int size = left < NAME_BYTES_MAX ? (int)left : NAME_BYTES_MAX;
        (void)snprintf(ret_name, NAME_BYTES_MAX, "%.*s", size, texts + symbol.st_name); /* may be cut */
        *ret_rest = address - symbol.st_value;
        return ret_name[0] != 0;
    }
    return false;
}

static bool find_function(const char *path, uint64_t address, char *ret_name, uint64_t *ret_rest)
{
    _cleanup_(image_close) struct image image = image_open(path);
    Elf64_Ehdr header;
    Elf64_Shdr section, names;
    if (!image.data || image.size < sizeof(header))
        return false;
    memcpy(&header, image.data, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (uint64_t i = 0; i < header.e_shnum; i++)
        if (section_at(&image, &header, i, &section) && section.sh_type == SHT_SYMTAB &&
            section_at(&image, &header, section.sh_link, &names))
            return find_in_table(&image, &section, &names, address, ret_name, ret_rest);
    return false;
}

/* One line without its newline. */
static void name_frame(const char *line, size_t size, struct str *out)
{
    char path[PATH_MAX];
    char name[NAME_BYTES_MAX];
    uint64_t rest = 0;
    const char *offset = memmem(line, size, "(+0x", 4);
    const char *end = offset ? memchr(offset, ')', size - (size_t)(offset - line)) : NULL;
    size_t path_size = offset ? (size_t)(offset - line) : 0;
    if (!end || path_size >= sizeof(path)) {
        str_append_bytes(out, line, size);
        return;
    }
    memcpy(path, line, path_size);
    path[path_size] = 0;
    uint64_t address = strtoull(offset + 4, NULL, 16);
    /* Our own program is listed by the name that it was started under, which need not lead to its file. */
    const char *file = path[0] == '/' ? path : "/proc/self/exe";
    if (!find_function(file, address, name, &rest)) {
        str_append_bytes(out, line, size);
        return;
    }
    str_appendf(out, "%s(%s+0x%llx", path, name, (unsigned long long)rest);
    str_append_bytes(out, end, size - (size_t)(end - line));
}

void symbols_name_frames(const char *backtrace, char *out, size_t out_size)
{
    _cleanup_(str_done) struct str named = STR_INIT(strlen(backtrace) + LINES_MAX * NAME_BYTES_MAX + 1);
    for (int lines = 0; *backtrace && lines < LINES_MAX; lines++) {
        size_t size = strcspn(backtrace, "\n");
        name_frame(backtrace, size, &named);
        backtrace += size;
        if (*backtrace == '\n') {
            str_append_char(&named, '\n');
            backtrace++;
        }
    }
    (void)snprintf(out, out_size, "%s", str_text(&named)); /* may be cut */
}
