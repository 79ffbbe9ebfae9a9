# One imported target a library, found as Debian 12 packages it. Debian's gRPCConfig.cmake asks for files of packages
# that libgrpc-dev does not pull in, so libraries are looked up by name.
find_package(Threads REQUIRED)

function(histrio_dep name header)
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  find_path(${name}_INCLUDE ${header} REQUIRED)
  target_include_directories(dep_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
  foreach(library IN LISTS ARGN)
    find_library(${library}_LIBRARY ${library} REQUIRED)
    target_link_libraries(dep_${name} INTERFACE ${${library}_LIBRARY})
  endforeach()
endfunction()

histrio_dep(grpc grpc/grpc.h grpc gpr)
histrio_dep(protobuf-c protobuf-c/protobuf-c.h protobuf-c)
histrio_dep(openssl openssl/x509.h crypto)
histrio_dep(ssl openssl/ssl.h ssl crypto)
histrio_dep(cjson cjson/cJSON.h cjson)
histrio_dep(yaml yaml.h yaml)
histrio_dep(msgpack msgpack.h msgpackc)
histrio_dep(microhttpd microhttpd.h microhttpd)
histrio_dep(xxhash xxhash.h xxhash)
histrio_dep(curl curl/curl.h curl)
histrio_dep(cmocka cmocka.h cmocka)

# Headers only: a module is linked with the interpreter that loads it. Debian has them in a folder with the version in its name.
find_path(python_INCLUDE Python.h PATH_SUFFIXES python3.14 python3.13 python3.12 python3.11 REQUIRED)
add_library(dep::python INTERFACE IMPORTED)
target_include_directories(dep::python SYSTEM INTERFACE ${python_INCLUDE})
