# Warnings are errors where HISTRIO_WERROR is on: in CI, not on a user's newer compiler.
option(HISTRIO_WERROR "Treat warnings as errors" OFF)
add_library(histrio_warnings INTERFACE)
target_compile_options(histrio_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
  -Wswitch-enum -Wnull-dereference $<$<BOOL:${HISTRIO_WERROR}>:-Werror>)
# -Wpedantic would reject the GNU extensions that the guide allows; these are the ones in use.
target_compile_options(histrio_warnings INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-gnu-zero-variadic-macro-arguments
  -Wno-gnu-statement-expression -Wno-gnu-auto-type -Wno-language-extension-token -Wno-string-conversion>)
target_compile_definitions(histrio_warnings INTERFACE _GNU_SOURCE)
