# histrio_module(NAME FOLDER [USES module...] [LIBS library...] [NO_RECURSE]): a static library of the .c files of
# FOLDER (main.c aside). Headers are included as "FOLDER's last part/file.h" from the module's parent folder, e.g.
# "base/err.h", "actor/mailbox.h"; what a module does not name in USES it cannot include.
function(histrio_module name folder)
  cmake_parse_arguments(arg "NO_RECURSE" "" "USES;LIBS" ${ARGN})
  if(arg_NO_RECURSE)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
  endif()
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  set(kind PUBLIC)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PRIVATE histrio_warnings)
  else()
    set(kind INTERFACE)
    add_library(${name} INTERFACE)
  endif()
  # Each module has an include folder of its own in the build tree with one link in it, so that only what is named in
  # USES can be included although many modules share a parent folder.
  get_filename_component(leaf ${folder} NAME)
  if(folder MATCHES "^operator/(control)$")
    set(leaf operator_control)
  elseif(folder MATCHES "^node/control$")
    set(leaf node_control)
  endif()
  set(view ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${view})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${view}/${leaf} SYMBOLIC)
  target_include_directories(${name} ${kind} ${view})
  target_link_libraries(${name} ${kind} ${arg_USES} ${arg_LIBS} Threads::Threads)
endfunction()

# histrio_program(NAME MAIN USES module [EXPORTS module]): EXPORTS makes the histrio_* functions, as that module has them, visible to
# behavior libraries.
function(histrio_program name main)
  cmake_parse_arguments(arg "" "EXPORTS" "USES" ${ARGN})
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${main})
    return()
  endif()
  add_executable(${name} ${main})
  target_link_libraries(${name} PRIVATE histrio_warnings ${arg_USES})
  if(arg_EXPORTS)
    histrio_export_api(${name} ${arg_EXPORTS})
  endif()
endfunction()

function(histrio_export_api target module)
  target_link_options(${target} PRIVATE -Wl,--export-dynamic-symbol=histrio_*
    -Wl,--whole-archive $<TARGET_FILE:${module}> $<TARGET_FILE:capi> -Wl,--no-whole-archive)
  add_dependencies(${target} ${module} capi)
endfunction()

add_library(histrio_api INTERFACE)
target_include_directories(histrio_api INTERFACE ${CMAKE_SOURCE_DIR}/include)

# histrio_behaviors(NAME SOURCE...): a shared library of behaviors, resolved against the node that loads it.
function(histrio_behaviors name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE histrio_api histrio_warnings)
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
endfunction()

# histrio_test(NAME SOURCE... USES module...): one cmocka binary, run by ctest with the label of its folder.
function(histrio_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "USES;SOURCES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE histrio_warnings ${arg_USES} dep::cmocka)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  # libgrpc is built without ThreadSanitizer; lib/rpc/tag.h says how our own data stays visible to it.
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT TSAN_OPTIONS=ignore_noninstrumented_modules=1)
endfunction()
