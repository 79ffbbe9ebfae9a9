#include "transport/convert_hello.h"

#include "base/mem.h"
#include "wire/wire.h"

void convert_hello_out(const struct link_hello *hello, Histrio__V1__Hello *ret_hello)
{
    histrio__v1__hello__init(ret_hello);
    ret_hello->protocol_min = hello->protocol_min;
    ret_hello->protocol_max = hello->protocol_max;
    /* protobuf-c's strings are not const; packing only reads them. */
    ret_hello->system = (char *)hello->system;
    ret_hello->system_uid = (char *)hello->system_uid;
    ret_hello->node_name = (char *)hello->node_name;
    ret_hello->pod_uid = (char *)hello->pod_uid;
    ret_hello->kube_node = (char *)hello->kube_node;
    ret_hello->zone = (char *)hello->zone;
    ret_hello->software = (char *)hello->software;
    ret_hello->node_uid = hello->node_uid;
    ret_hello->credential.data = (uint8_t *)hello->credential;
    ret_hello->credential.len = hello->credential_size;
}

void convert_hello_in(const Histrio__V1__Hello *hello, struct link_hello *ret_hello)
{
    *ret_hello = (struct link_hello){
        .protocol_min = hello->protocol_min,
        .protocol_max = hello->protocol_max,
        .system = hello->system,
        .system_uid = hello->system_uid,
        .node_name = hello->node_name,
        .pod_uid = hello->pod_uid,
        .kube_node = hello->kube_node,
        .zone = hello->zone,
        .software = hello->software,
        .node_uid = hello->node_uid,
        .credential = hello->credential.data,
        .credential_size = hello->credential.len,
    };
}

uint8_t *convert_pack(const void *message, size_t *ret_size)
{
    *ret_size = wire_packed_size(message);
    uint8_t *data = xmalloc(*ret_size + 1);
    wire_pack_into(message, data);
    return data;
}
