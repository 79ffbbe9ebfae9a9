# Generates protobuf-c code for proto/ into the build tree; nothing generated is committed.
find_program(PROTOC_C protoc-c REQUIRED)
set(WIRE_DIR ${CMAKE_BINARY_DIR}/generated)
file(GLOB_RECURSE WIRE_PROTOS RELATIVE ${CMAKE_SOURCE_DIR}/proto CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
set(WIRE_SOURCES)
set(WIRE_HEADERS)
foreach(proto IN LISTS WIRE_PROTOS)
  string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${proto})
  add_custom_command(
    OUTPUT ${WIRE_DIR}/${stem}.c ${WIRE_DIR}/${stem}.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${WIRE_DIR}
    COMMAND ${PROTOC_C} --c_out=${WIRE_DIR} -I${CMAKE_SOURCE_DIR}/proto ${proto}
    DEPENDS ${CMAKE_SOURCE_DIR}/proto/${proto} VERBATIM)
  list(APPEND WIRE_SOURCES ${WIRE_DIR}/${stem}.c)
  list(APPEND WIRE_HEADERS ${WIRE_DIR}/${stem}.h)
endforeach()
add_library(wire_protos STATIC ${WIRE_SOURCES} ${WIRE_HEADERS})
target_include_directories(wire_protos SYSTEM PUBLIC ${WIRE_DIR})
target_link_libraries(wire_protos PUBLIC dep::protobuf-c)
