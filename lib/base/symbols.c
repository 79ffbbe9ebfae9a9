#include "base/symbols.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* SYMBOLS_MAX: of all lines together, as a file can claim to have any number. */
enum {
    NAME_BYTES_MAX = 200,
    LINES_MAX = 64,
    SECTIONS_MAX = 1024,
    SYMBOLS_AT_ONCE = 256,
    SYMBOLS_MAX = 16 * 1000 * 1000
};

/* It is read, not mapped: whoever may write to it may cut it off meanwhile. */
static int image_open(const char *path)
{
    struct stat status;
    _cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    return steal_fd(&fd);
}

/* What there is of `size` bytes at `offset`. */
static size_t image_read(int image, uint64_t offset, void *ret_data, size_t size)
{
    size_t used = 0;
    while (used < size && offset <= (uint64_t)INT64_MAX - size) {
        ssize_t got = pread(image, (char *)ret_data + used, size - used, (off_t)(offset + used));
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    return used;
}

static bool section_at(int image, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *ret_section)
{
    uint64_t offset = header->e_shoff + index * sizeof(*ret_section);
    return index < header->e_shnum && header->e_shentsize == sizeof(*ret_section) &&
           offset >= header->e_shoff &&
           image_read(image, offset, ret_section, sizeof(*ret_section)) == sizeof(*ret_section);
}

static bool contains(const Elf64_Sym *symbol, uint64_t address)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && address >= symbol->st_value &&
           address - symbol->st_value < symbol->st_size;
}

/* Which of the function's names this table has: NUL-ended, it may be cut. */
static bool read_name(int image, const Elf64_Shdr *names, const Elf64_Sym *symbol, char *ret_name)
{
    if (symbol->st_name >= names->sh_size)
        return false;
    uint64_t left = names->sh_size - symbol->st_name;
    uint64_t offset = names->sh_offset + symbol->st_name;
    size_t size = left < NAME_BYTES_MAX - 1 ? (size_t)left : NAME_BYTES_MAX - 1;
    ret_name[offset >= names->sh_offset ? image_read(image, offset, ret_name, size) : 0] = 0;
    return ret_name[0] != 0;
}

/* The function of this table that contains `address`. */
static bool find_in_table(int image, const Elf64_Shdr *table, const Elf64_Shdr *names, uint64_t address,
    uint64_t *symbols_left, char *ret_name, uint64_t *ret_rest)
{
    Elf64_Sym symbols[SYMBOLS_AT_ONCE];
    uint64_t left = table->sh_size / sizeof(symbols[0]), offset = table->sh_offset;
    size_t count = SYMBOLS_AT_ONCE;
    for (; left > 0 && count == SYMBOLS_AT_ONCE && *symbols_left >= count; offset += sizeof(symbols)) {
        count = image_read(image, offset, symbols, sizeof(symbols)) / sizeof(symbols[0]);
        *symbols_left -= count;
        for (size_t i = 0; i < count && left > 0; i++, left--)
            if (contains(&symbols[i], address) && read_name(image, names, &symbols[i], ret_name)) {
                *ret_rest = address - symbols[i].st_value;
                return true;
            }
    }
    return false;
}

static bool find_function(
    const char *path, uint64_t address, uint64_t *symbols_left, char *ret_name, uint64_t *ret_rest)
{
    _cleanup_(cleanup_close) int image = image_open(path);
    Elf64_Ehdr header;
    Elf64_Shdr section, names;
    if (image < 0 || image_read(image, 0, &header, sizeof(header)) < sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (uint64_t i = 0; i < header.e_shnum && i < SECTIONS_MAX; i++)
        if (section_at(image, &header, i, &section) && section.sh_type == SHT_SYMTAB &&
            section_at(image, &header, section.sh_link, &names))
            return find_in_table(image, &section, &names, address, symbols_left, ret_name, ret_rest);
    return false;
}

/* One line without its newline. */
static void name_frame(const char *line, size_t size, uint64_t *symbols_left, struct str *out)
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
    if (!find_function(file, address, symbols_left, name, &rest)) {
        str_append_bytes(out, line, size);
        return;
    }
    str_appendf(out, "%s(%s+0x%llx", path, name, (unsigned long long)rest);
    str_append_bytes(out, end, size - (size_t)(end - line));
}

void symbols_name_frames(const char *backtrace, char *out, size_t out_size)
{
    _cleanup_(str_done) struct str named = STR_INIT(strlen(backtrace) + LINES_MAX * NAME_BYTES_MAX + 1);
    uint64_t symbols_left = SYMBOLS_MAX;
    for (int lines = 0; *backtrace && lines < LINES_MAX; lines++) {
        size_t size = strcspn(backtrace, "\n");
        name_frame(backtrace, size, &symbols_left, &named);
        backtrace += size;
        if (*backtrace == '\n') {
            str_append_char(&named, '\n');
            backtrace++;
        }
    }
    (void)snprintf(out, out_size, "%s", str_text(&named)); /* may be cut */
}
